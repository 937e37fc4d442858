/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The parameters of the command line. */

#ifndef VMDK_PARAMS_H
#define VMDK_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct params {
  char *file;                   /* absolute path; NULL if there is dir */
  char *dir;                    /* absolute path; NULL if there is file */
  char *export;                 /* pattern; NULL if not given */
  char **allow_dirs;            /* absolute paths */
  size_t nr_allow_dirs;
  uint64_t cache_size;          /* bytes; 0 if not given */
  bool create;
  char *create_adapter_type;
  unsigned create_compress_level; /* 0 if not given */
  char *create_hwversion;
  char *create_parent;          /* absolute path */
  uint64_t create_size;         /* bytes; 0 if not given */
  char *create_type;
  bool ignore_cid;
  char *parent;                 /* absolute path */
  bool salvage;
  bool single_link;
  bool unbuffered;
};

extern struct params params;

/* The lines of --help. */
#define PARAMS_HELP \
  "[file=]<PATH>      The disk: a VMDK descriptor or a sparse VMDK file; or" \
  " X.vmx.\n" \
  "allow-dir=<DIR>    Also allow extents and parents here (may be repeated).\n" \
  "cache-size=<SIZE>  Memory for tables and inflated grains (default" \
  " 64M).\n" \
  "create=true        Make the disk, which must not exist, and serve it.\n" \
  "create-adapter-type=<TYPE>  Its adapter type (default lsilogic).\n" \
  "create-compress-level=<N>   How small a stream becomes: 1 to 12" \
  " (default 4).\n" \
  "create-hwversion=<VERSION>  Its hardware version (default 4).\n" \
  "create-parent=<PATH>        Make it a child of this disk.\n" \
  "create-size=<SIZE>          Its size.\n" \
  "create-type=<TYPE>          Its type (default monolithic-sparse).\n" \
  "dir=<DIR>          Instead of file=: the disks in it, by export name.\n" \
  "export=<PATTERN>   With dir= or X.vmx: only disks whose names match.\n" \
  "ignore-cid=true    Accept a parent that was changed after the" \
  " snapshot.\n" \
  "parent=<PATH>      The parent of the disk, instead of what it names.\n" \
  "salvage=true       Serve what is there of a stream that was cut off.\n" \
  "single-link=true   Serve this link alone, without its parents.\n" \
  "unbuffered=true    Leave nothing in the host's page cache (O_DIRECT)."

/* The .config callback, which makes paths absolute, and .config_complete.  Then
 * 'params' does not change any more, until params_free.
 */
extern int params_set (const char *key, const char *value);
extern int params_complete (void);

/* Are several disks served, by name? */
extern bool params_has_many (void);

/* Free everything; nothing need be set. */
extern void params_free (void);

#endif /* VMDK_PARAMS_H */
