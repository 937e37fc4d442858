/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The content ID of a link, by which snapshots see that it has changed. */

#ifndef VMDK_CONTENT_ID_H
#define VMDK_CONTENT_ID_H

#include "link.h"

/* Find a reason why the link cannot get a new content ID, so that its data
 * must not be changed.  Changes nothing.  No other call on the link's files
 * may be going on.
 */
extern int content_id_check (const struct link *link,
                             struct vmdk_error *error);

/* Give the link a new content ID, durably, if it has a descriptor (CID in
 * Virtual Disk Format 5.0).  After a power cut during the call the link can
 * be opened.  On failure *unsure tells whether it is unknown what
 * will be found on the disk: then nothing may be changed any more.  Not
 * twice at once.
 */
extern int content_id_change (struct link *link, bool *unsure,
                              struct vmdk_error *error);

#endif /* VMDK_CONTENT_ID_H */
