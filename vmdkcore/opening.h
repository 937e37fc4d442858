/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The parts of opening a link that deal with one file each: what it is,
 * its header, and the extent that it makes.
 */

#ifndef VMDK_OPENING_H
#define VMDK_OPENING_H

#include "link.h"

/* A link while it is being opened. */
struct opening {
  const struct link_context *context;
  const struct link_check *check; /* may be NULL */
  struct link *link;
  const char *name;             /* the link's */
  void *names, *files;          /* that lines have named: two trees */
  bool said_rdm;                /* that a file is taken for a LUN's content */
  struct vmdk_error *error;
};

/* Find out what a file is from its first bytes. */
extern int probe_file (struct io *io, enum file_kind *kind,
                       struct vmdk_error *error);

/* Refuse a file by what it is.  Returns -1. */
extern int refuse_kind (struct io *io, enum file_kind kind,
                        struct vmdk_error *error);

/* Read and check the header of a file whose magic has been checked. */
extern int read_hosted_header (struct opening *o, struct io *io,
                               struct hosted_header *h);
extern int read_cowd_header (struct opening *o, struct io *io,
                             struct cowd_header *h);
extern int read_sesparse_header (struct opening *o, struct io *io,
                                 struct sesparse_header *h);

/* The extent of 'length' bytes in a hosted sparse file, compressed or
 * not.
 */
extern struct extent *open_hosted_extent (struct opening *o, struct io *io,
                                          const struct hosted_header *h,
                                          uint64_t length);

/* Open the extent that a line of the descriptor names. */
extern struct extent *open_line (struct opening *o,
                                 const struct extent_line *line);

/* Put the files that lines named into the link, after the last line. */
extern int keep_line_files (struct opening *o);

/* Drop the files that lines named. */
extern void free_line_files (struct opening *o);

#endif /* VMDK_OPENING_H */
