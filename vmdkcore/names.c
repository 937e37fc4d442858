/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "charset.h"
#include "names.h"

bool
name_can_be_told (const char *name)
{
  size_t left = strlen (name), len;

  if (left == 0 || left > NAME_MAX_LENGTH)
    return false;
  for (; left > 0; name += len, left -= len) {
    len = charset_utf8_length (name, left);
    if (len == 0 || charset_is_control (name, len))
      return false;
  }
  return true;
}

bool
type_can_be_told (const char *type)
{
  const size_t len = strlen (type);

  return len > 0 && len <= 64 &&
    strspn (type, "abcdefghijklmnopqrstuvwxyz"
            "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -_.") == len;
}

int
name_list_add (struct name_list *list, char *name, char *type)
{
  if (list->nr == list->max) {
    const size_t max = list->max == 0 ? 16 : 2 * list->max;
    struct listed *disks = reallocarray (list->disks, max, sizeof *disks);

    if (!disks)
      return -1;
    list->disks = disks;
    list->max = max;
  }
  list->disks[list->nr++] = (struct listed) { name, type };
  return 0;
}

bool
name_list_has (const struct name_list *list, const char *name)
{
  size_t i;

  for (i = 0; i < list->nr; ++i)
    if (strcmp (list->disks[i].name, name) == 0)
      return true;
  return false;
}

void
name_list_free (struct name_list *list)
{
  while (list->nr > 0) {
    free (list->disks[--list->nr].name);
    free (list->disks[list->nr].type);
  }
  free (list->disks);
  *list = (struct name_list) { 0 };
}
