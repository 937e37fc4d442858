/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The disks that are served, each shared by all connections to it. */

#ifndef VMDK_EXPORTS_H
#define VMDK_EXPORTS_H

#include <stdbool.h>

#include <nbdkit-plugin.h>

#include "vmdkcore.h"

/* Open what the parameters name: one disk, or a place where disks are found
 * by name, which are opened when a client comes.  Before clients; returns -1
 * after an error has been reported, as all of the following do.
 */
extern int exports_ready (void);

/* When all clients have gone; nothing need be open. */
extern void exports_free (void);

/* The .list_exports and .default_export callbacks.  The latter returns NULL if
 * the client must give a name.
 */
extern int exports_list (int readonly, int is_tls,
                         struct nbdkit_exports *exports);
extern const char *exports_default (int readonly, int is_tls);

/* A connection to a disk. */
struct connection {
  struct vmdk_image *image;     /* valid until exports_disconnect */
  struct export *export;
  bool may_write;               /* if the disk can be written */
  uint32_t block;               /* the smallest that the client is to use, in
                                   bytes, a power of two; 1: any.  The caller
                                   of exports_connect sets it */
};

/* Connect to the disk whose name the client has given, which may be any text
 * at all.  The first connection opens it, unless exports_ready has.  Returns
 * NULL on failure.  Any thread.
 */
extern struct connection *exports_connect (bool readonly);

/* The last connection closes it, unless exports_ready has opened it.  Any
 * thread.
 */
extern void exports_disconnect (struct connection *connection);

/* Is the connection one that may write to a disk that can be written?  If the
 * disk is the reason why not, that is put in the text, which is empty
 * otherwise.  Any thread.
 */
extern bool exports_can_write (const struct connection *connection,
                               char *why_not, size_t size);

#endif /* VMDK_EXPORTS_H */
