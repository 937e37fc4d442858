/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The public face of the VMDK core library.
 *
 * The library knows nothing of nbdkit.  It prints nothing, has no
 * global state and never exits.
 *
 * Units: every size and offset in this header is in bytes.
 *
 * Threads: vmdk_open, or vmdk_create, and vmdk_close are called once each, by
 * one thread.  In between every other function may be called on the same
 * image by any number of threads at once, but for what is said of
 * vmdk_begin_writing and vmdk_end_writing.
 *
 * Reading holds no lock over I/O that another reader needs, with one
 * exception: where the tables of a stream turn out to be damaged, those who
 * need them wait while one thread reads the stream for its grains, once.
 * Changes wait for each other: all for the first one, which reads the tables
 * and syncs; those that need new grains in the same extent, while tables are
 * read or made room for; flushes, while another flush is going on.
 *
 * Results: where nothing else is said, functions that return int return 0, or
 * -1 with *error set.
 */

#ifndef VMDKCORE_H
#define VMDKCORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What went wrong, for callers that act on it. */
enum vmdk_error_kind {
  VMDK_ERROR_NONE = 0,
  VMDK_ERROR_IO,                /* the system refused or failed a call */
  VMDK_ERROR_CORRUPT,           /* the image contradicts its format */
  VMDK_ERROR_UNSUPPORTED,       /* well formed, but not served */
  VMDK_ERROR_DENIED,            /* the confinement rule forbids it */
  VMDK_ERROR_NOMEM,
  VMDK_ERROR_BUSY,              /* another program uses the image */
  VMDK_ERROR_INTERRUPTED,       /* by the caller; can be tried again */
  VMDK_ERROR_INVALID            /* the caller's arguments are wrong */
};

/* An error is written by the function that fails, into memory that
 * the caller provides.  The message is one line of printable text
 * that names the file and the reason, without a full stop or newline.
 * It is meaningful only after a failure.
 */
struct vmdk_error {
  enum vmdk_error_kind kind;
  int err;                      /* an errno value, never 0 on failure */
  char message[1024];
};

/* How much a line of the log matters. */
enum vmdk_log_level {
  VMDK_LOG_NOTE,                /* an oddity that changes nothing, how far
                                   long work is, or what is traced */
  VMDK_LOG_WARNING              /* damage, or content that was guessed */
};

/* What can be traced. */
enum {
  VMDK_TRACE_FILES = 1,         /* links, their files and extents */
  VMDK_TRACE_GRAINS = 2,        /* places that are given to grains, and freed */
  VMDK_TRACE_FLUSH = 4          /* what is synced and written, and when */
};

/* Memory for tables, inflated grains and the like, for several images. */
struct vmdk_memory;

#define VMDK_CACHE_DEFAULT (UINT64_C (64) << 20)
#define VMDK_CACHE_MIN (UINT64_C (1) << 20)

/* 'size' is in bytes; 0 means VMDK_CACHE_DEFAULT, and at least VMDK_CACHE_MIN
 * is used.  NULL if there is no memory at all.
 */
extern struct vmdk_memory *vmdk_memory_new (uint64_t size);

/* When all images that use it have been closed.  NULL is accepted. */
extern void vmdk_memory_free (struct vmdk_memory *memory);

/* How to open an image.  All zeroes are the defaults.  Strings are
 * borrowed until vmdk_open returns.
 */
struct vmdk_options {
  /* Folders, beside the one of the file that names them, in which extents,
   * parents and disks that are opened by name may lie, and in which block
   * devices are accepted.  Each must exist.
   */
  const char *const *allow_dirs;
  size_t nr_allow_dirs;

  /* The memory that this image and others use; or NULL, and it gets memory of
   * its own, of this many bytes, as vmdk_memory_new does.
   */
  struct vmdk_memory *memory;
  uint64_t cache_size;

  /* Open the named link without its parents. */
  bool single_link;

  /* The parent of the named link, if not NULL: opened instead of what
   * the image says.
   */
  const char *parent;

  /* Accept parents whose CID is not the one that the child has. */
  bool ignore_cid;

  /* Open a stream that was cut off, and serve what is there. */
  bool salvage;

  /* Read and write past the page cache (O_DIRECT).  Fails where a file system
   * cannot.  A stream that is being made is written through the page cache.
   */
  bool unbuffered;

  /* Open the files of the named link so that vmdk_begin_writing can be
   * called, where that is permitted.  Parents are only ever read.
   */
  bool writable;

  /* Called with one line for each thing that a user should know but
   * that does not fail anything, for example a damaged table whose
   * redundant copy is whole.  May be NULL.  Called by any thread that
   * uses the image, possibly by several at once.
   */
  void (*log) (void *opaque, enum vmdk_log_level level,
               const char *message);

  /* Asked now and then by what may take long: reading all of a stream or all
   * tables of a disk, of which another call begins anew then, or zeroing, of
   * which a part has been done then.  If it returns true that is given up,
   * and the call fails with VMDK_ERROR_INTERRUPTED.  May be NULL.  The same
   * threads as above.  It is not asked before the work has taken so many
   * seconds.
   */
  bool (*interrupted) (void *opaque);
  unsigned patience;

  void *opaque;                 /* for both */

  /* The log tells of these, too: a combination of VMDK_TRACE_. */
  unsigned trace;
};

struct vmdk_image;

/* Open the VMDK at 'path': a descriptor, or a file with an embedded
 * descriptor.  Opens every file that it needs and reads their
 * headers, but no grain tables.  Returns NULL with *error set.
 */
extern struct vmdk_image *vmdk_open (const char *path,
                                     const struct vmdk_options *options,
                                     struct vmdk_error *error);

/* Disks that are opened by name: those in a folder, or of a virtual
 * machine.
 */
struct vmdk_disks;

/* The disks in the folder 'path', at any time: those that a user would name.
 * A file that another one in the folder names as its extent is none; nor is
 * one that another one has as its parent, unless each link is opened alone
 * (single_link).  Names with control characters, those that are not UTF-8 and
 * those that begin with a dot are left out.  Of 'options', allow_dirs,
 * single_link, ignore_cid and log count here.  Returns NULL with *error set.
 */
extern struct vmdk_disks *
vmdk_disks_in_folder (const char *path, const struct vmdk_options *options,
                      struct vmdk_error *error);

/* The disks that the configuration of a virtual machine, the file 'path', has:
 * by the names that it gives, in its order (SCSI, SATA, NVMe, IDE; controller;
 * unit).  They need not exist.  The configuration is read once, and has at
 * least one disk.  Of 'options', allow_dirs and log count here.  Returns NULL
 * with *error set.
 */
extern struct vmdk_disks *
vmdk_disks_of_machine (const char *path, const struct vmdk_options *options,
                       struct vmdk_error *error);

/* Called with the name of a disk, and its createType, or NULL where that is
 * not known or must not be shown to people.  Returns 0 to go on, -1 to stop
 * with a failure that only the caller of vmdk_disks_list knows.
 */
typedef int vmdk_disks_callback (void *opaque, const char *name,
                                 const char *type);

/* Report the names; those in a folder are sorted.  The start of every file in
 * the folder is looked at, and the whole descriptor where that has one; fails
 * if that would be too much.  The callback must not use 'disks'.  Returns -1
 * with *error set, or without if the callback failed.  Any thread.
 */
extern int vmdk_disks_list (struct vmdk_disks *disks,
                            vmdk_disks_callback *callback, void *opaque,
                            struct vmdk_error *error);

/* Open the disk of that name, which may be any text at all: only what
 * vmdk_disks_list reports is opened, and only if it lies, symbolic links
 * followed, in the folder or where extents may.  Returns NULL with *error set.
 * Any thread; one waits while another looks at the folder.
 */
extern struct vmdk_image *
vmdk_disks_open (struct vmdk_disks *disks, const char *name,
                 const struct vmdk_options *options,
                 struct vmdk_error *error);

/* Images that were opened may stay open.  NULL is accepted. */
extern void vmdk_disks_close (struct vmdk_disks *disks);

/* A disk to be made.  Strings are borrowed until vmdk_create returns; all
 * zeroes, but for the size, are the defaults.
 */
struct vmdk_create_options {
  /* Bytes, a multiple of 512.  0 stands for the size of the parent, which is
   * the only one that a child can have.
   */
  uint64_t size;

  /* What nbdkit-vddk-plugin calls it, or what createType will say, whatever
   * the case of letters; by default monolithic-sparse.
   */
  const char *type;

  /* For ddb.adapterType, by default lsilogic, and ddb.virtualHWVersion, by
   * default 4: the words of nbdkit-vddk-plugin, or the value itself.  By
   * default a child has what its parent has.
   */
  const char *adapter_type;
  const char *hwversion;

  /* Make a child of this disk, which is only read. */
  const char *parent;

  /* For a stream: 1 is the fastest, 12 the smallest; 0 is the default. */
  unsigned compress_level;
};

/* The types of disks that can be made, from 0 on; NULL behind the last. */
extern const char *vmdk_create_type (unsigned n);

/* Make a new disk at 'path', and open it as vmdk_open does.  None of its
 * files may exist.  They are durable when this returns, but for a stream, which
 * gets its name when vmdk_end_writing has completed it; on failure this returns
 * NULL with *error set, and those that it made are gone.
 */
extern struct vmdk_image *
vmdk_create (const char *path, const struct vmdk_create_options *create,
             const struct vmdk_options *options, struct vmdk_error *error);

/* Close the image and free it.  No other call may be running.  NULL is
 * accepted.
 */
extern void vmdk_close (struct vmdk_image *image);

/* The size of the virtual disk: a multiple of 512, at most INT64_MAX. */
extern uint64_t vmdk_size (const struct vmdk_image *image);

/* What the named link of an image is, for people. */
struct vmdk_description {
  const char *create_type;      /* valid until vmdk_close */
  size_t nr_extents;
  size_t nr_links;              /* that are open */
  bool has_unopened_parent;     /* by single_link */
  uint64_t grain_size;          /* of the first sparse extent; 0: none */
  uint32_t sector_size;         /* that the guest is to see, in bytes, a power
                                   of two from 512 to 65536; 0: not said */
};

extern void vmdk_describe (const struct vmdk_image *image,
                           struct vmdk_description *description);

/* Read 'count' bytes at 'offset' into 'buf'.  Any alignment; the range
 * must lie inside the disk.  Returns 0 with every byte right, or -1
 * with *error set and the contents of buf undefined.
 */
extern int vmdk_pread (struct vmdk_image *image, void *buf, size_t count,
                       uint64_t offset, struct vmdk_error *error);

/* Tell the system that the range will be read soon.  A hint: what
 * cannot be prefetched is passed over.  Fails for a range outside the disk, and
 * if memory is short.
 */
extern int vmdk_prefetch (struct vmdk_image *image, uint64_t count,
                          uint64_t offset, struct vmdk_error *error);

/* Writing.
 *
 * What has been written is durable when a vmdk_flush that began after it,
 * or its own VMDK_FUA, has returned without an error.  After a power cut at
 * any moment the image opens, and each sector has the content that was
 * flushed last or one that was written since.  When a sync has failed, or
 * the tables could not be written, data that were acknowledged may not be
 * durable: all later changes and flushes then fail as well, and reading
 * goes on.  But if only room or memory was short for the tables (ENOSPC,
 * EDQUOT, ENOMEM), nothing is lost: the next flush tries again, and changes go
 * on, as long as they fit into the memory that there is for them.
 *
 * A stream that is being made is different: it is durable, whole, when
 * vmdk_end_writing has returned, and nothing of it before.  vmdk_flush and
 * VMDK_FUA only tell whether something has failed.
 */

/* Get ready to change the image: keep other programs from using its files.
 * If it was not closed cleanly, or has few tables (4 MiB), look whether they
 * are in order or can be put right; otherwise that is done with the first
 * change, as the putting right is always: until then no file is written.
 * Fails, and the image stays as it was and readable, if another program uses
 * it (VMDK_ERROR_BUSY) or it cannot be written, with the reason in *error.
 * Calls of this and of vmdk_end_writing must not overlap; reading may go on
 * meanwhile.
 */
extern int vmdk_begin_writing (struct vmdk_image *image,
                               struct vmdk_error *error);

/* Make all changes durable, mark the image as cleanly closed and let other
 * programs use it again; a stream in which something other than zeroes has been
 * written is completed.  No change may be running, but reads and flushes may.
 * vmdk_close does the same, but cannot say how it went.  Without
 * vmdk_begin_writing nothing happens, and what has gone wrong before is said
 * again.
 */
extern int vmdk_end_writing (struct vmdk_image *image,
                             struct vmdk_error *error);

/* Are all later changes and flushes refused, because data may have been lost
 * or the image could not be got ready or closed?  The image must stay open
 * then while the process lives, if its clients are to know: one that is opened
 * anew has not failed.  Any thread.
 */
extern bool vmdk_has_failed (const struct vmdk_image *image);

/* The following change the image between vmdk_begin_writing and
 * vmdk_end_writing, and may be called by any number of threads.  Where two
 * of them, or one and a read, meet in the same bytes, either may win in
 * each sector.  The range must lie inside the disk, and 'count' must not
 * be 0.
 */

enum {
  VMDK_FUA = 1,                 /* durable when the call returns */
  VMDK_MAY_TRIM = 2,            /* zeroes need not stay allocated */
  VMDK_FAST = 4                 /* only if nothing need be written:
                                   otherwise fails with
                                   VMDK_ERROR_UNSUPPORTED, and nothing has
                                   changed */
};

/* Write 'count' bytes at 'offset'.  'flags' are 0 or VMDK_FUA.  If it fails, a
 * part may have been written.
 */
extern int vmdk_pwrite (struct vmdk_image *image, const void *buf,
                        size_t count, uint64_t offset, unsigned flags,
                        struct vmdk_error *error);

/* Make 'count' bytes at 'offset' read as zeroes.  Any of the flags. */
extern int vmdk_zero (struct vmdk_image *image, uint64_t count,
                      uint64_t offset, unsigned flags,
                      struct vmdk_error *error);

/* Say that the content of the range does not matter any more: it stays as
 * it is, or reads as zeroes, sector by sector.  'flags' are 0 or VMDK_FUA.
 */
extern int vmdk_trim (struct vmdk_image *image, uint64_t count,
                      uint64_t offset, unsigned flags,
                      struct vmdk_error *error);

/* Make durable all changes that have returned before this is called, and, after
 * vmdk_begin_writing, what others had written to the files before they were
 * opened.  Any thread.
 */
extern int vmdk_flush (struct vmdk_image *image, struct vmdk_error *error);

enum vmdk_allocation {
  VMDK_ALLOCATED,               /* stored: data, or unreadable */
  VMDK_HOLE,                    /* not stored; reads as zeroes */
  VMDK_UNKNOWN                  /* only a parent that is not open knows;
                                   reads as zeroes */
};

/* Called with one piece of the disk that is allocated alike: 'length' is
 * at least 1.  Returns 0 to go on, 1 to stop, -1 to stop with a failure
 * that only the caller of vmdk_map knows.
 */
typedef int vmdk_map_callback (void *opaque, uint64_t offset,
                               uint64_t length,
                               enum vmdk_allocation allocation);

/* Report how a range of the disk is allocated, in order and without a
 * gap, each piece as long as it can be within the range.  A range whose
 * metadata cannot be read counts as allocated, so that a reader goes
 * there and gets the error.  Where that would take long it stops before
 * the end of the range, but not without having reported something.
 * 'count' must not be 0 and the range must lie inside the disk.  Returns
 * -1 with *error set, or without if the callback failed.
 */
extern int vmdk_map (struct vmdk_image *image, uint64_t offset,
                     uint64_t count, vmdk_map_callback *callback,
                     void *opaque, struct vmdk_error *error);

/* The first piece that vmdk_map reports: *length gets at least 1 and at
 * most 'count'.
 */
extern int vmdk_is_allocated (struct vmdk_image *image, uint64_t offset,
                              uint64_t count,
                              enum vmdk_allocation *allocation,
                              uint64_t *length, struct vmdk_error *error);

/* Put '?' in the place of what is not UTF-8, as what a client is told must be:
 * names of files in messages may not.
 */
extern void vmdk_make_utf8 (char *text);

/* The version of libdeflate that this was compiled with. */
extern const char *vmdk_libdeflate_version (void);

#endif /* VMDKCORE_H */
