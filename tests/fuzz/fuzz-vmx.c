/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The configuration of a virtual machine.  Input: its text. */

#include <config.h>

#include <string.h>

#include "fuzz.h"
#include "vmx.h"

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  const struct logger logger = { 0 };
  struct vmdk_error error;
  struct name_list list;
  size_t i, j;

  if (vmx_parse ((const char *) data, size, "guest.vmx", &logger, &list,
                 &error) == -1) {
    if (error.message[0] == '\0' || error.err == 0)
      wrong ("a failure that says nothing", error.message);
    return 0;
  }
  if (list.nr == 0 || list.nr > VMX_MAX_DEVICES)
    wrong ("not a number of disks", NULL);
  for (i = 0; i < list.nr; ++i) {
    if (!name_can_be_told (list.disks[i].name))
      wrong ("a name that a client must not be told", NULL);
    for (j = 0; j < i; ++j)
      if (strcmp (list.disks[i].name, list.disks[j].name) == 0)
        wrong ("the same disk twice", list.disks[i].name);
  }
  name_list_free (&list);
  return 0;
}
