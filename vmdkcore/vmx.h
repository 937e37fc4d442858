/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The configuration of a virtual machine (X.vmx): which disks it has.  Pure
 * functions over (bytes, length).
 */

#ifndef VMDK_VMX_H
#define VMDK_VMX_H

#include "error.h"
#include "names.h"

/* The most text that is read, and the most devices. */
#define VMX_MAX_SIZE (1024 * 1024)
#define VMX_MAX_DEVICES 1024

/* Find the files of the disks that are present, as the text has them, each
 * once: those of SCSI, SATA, NVMe and IDE controllers, in this order, and on
 * each bus by the numbers of controller and unit.  A disk is what is neither a
 * CD-ROM drive nor a device of the host (rawDisk), and has a file with a name
 * that ends in ".vmdk".  'name' is that of the X.vmx, for messages; what is
 * left out is told to 'logger'.  On failure nothing is left to free.
 */
extern int vmx_parse (const char *text, size_t len, const char *name,
                      const struct logger *logger, struct name_list *list,
                      struct vmdk_error *error);

#endif /* VMDK_VMX_H */
