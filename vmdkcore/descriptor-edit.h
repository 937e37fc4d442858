/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Changing the text descriptor of a disk whose data are about to change;
 * pure functions over (bytes, length).
 */

#ifndef VMDK_DESCRIPTOR_EDIT_H
#define VMDK_DESCRIPTOR_EDIT_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct descriptor_change {
  uint32_t cid;
  uint8_t long_content_id[16];  /* ends with cid, big-endian */
};

/* The CID to use where a random one is 'cid': one that can be written with
 * as many digits as the present one has, if those are at least four, so
 * that the text keeps its length.  It is never the present CID, nor one
 * of those that have a meaning (0xffffffff, 0xfffffffe, 0); and if its
 * digits lie in two sectors, of which only one reaches the disk, that does
 * not make one of those either.
 */
extern uint32_t descriptor_fit_cid (const char *text, size_t len,
                                    uint32_t cid);

struct edited_descriptor {
  char *text;                   /* to be freed by the caller */
  size_t len;
  size_t moved, moved_end;      /* offsets in the text; the same if nothing
                                   has moved */
};

/* Change the descriptor at 'text', whose text ends at 'len' or at the
 * first NUL; what is behind that is padding.  The CID becomes the new one,
 * and is added if there was none; ddb.longContentID becomes the new one if
 * there was one; and change tracking is turned off, as what it knows
 * becomes wrong.  Every other byte of the text stays.  No text at all
 * stays none: that is an area that was reserved for one.
 *
 * The text keeps its length if descriptor_fit_cid chose the CID and the
 * old one has at least four digits.  Then each byte stays in its place.
 * Otherwise it grows into the padding, and from there up to 'room' bytes:
 * if they do not suffice it fails with VMDK_ERROR_UNSUPPORTED.
 *
 * edited->text gets the new bytes, and edited->len their number: 'len' or,
 * if the padding was too short, more.  Any mixture of old and new bytes can
 * be parsed, with the meaning of either, as long as the bytes from
 * edited->moved up to edited->moved_end are all old or all new.  Messages
 * do not name the file.
 */
extern int descriptor_edit (const char *text, size_t len, size_t room,
                            const struct descriptor_change *change,
                            struct edited_descriptor *edited,
                            struct vmdk_error *error);

#endif /* VMDK_DESCRIPTOR_EDIT_H */
