/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The descriptor: parsing and changing.  Input: a byte that says what the
 * change is, and the text.
 */

#include <config.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "descriptor-edit.h"
#include "descriptor.h"
#include "fuzz.h"

/* The changed descriptor says the same as before but for the content ID, and
 * the version that change tracking needs.
 */
static void
check_same (const struct descriptor *a, const struct descriptor *b,
            uint32_t cid)
{
  size_t i;

  if (!b->has_cid || b->cid != cid || a->nr_extents != b->nr_extents ||
      a->parent_cid != b->parent_cid || b->version > a->version ||
      (a->parent_hint == NULL) != (b->parent_hint == NULL) ||
      (a->parent_hint && strcmp (a->parent_hint, b->parent_hint) != 0))
    abort ();
  for (i = 0; i < a->nr_extents; ++i) {
    const struct extent_line *x = &a->extents[i], *y = &b->extents[i];

    if (x->access != y->access || x->type != y->type ||
        x->sectors != y->sectors || x->offset != y->offset ||
        (x->name == NULL) != (y->name == NULL) ||
        (x->name && strcmp (x->name, y->name) != 0))
      abort ();
  }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  const struct logger logger = { 0 };
  struct descriptor_change change = { .cid = 0x1234abcd };
  struct edited_descriptor edited;
  struct descriptor d, after;
  struct vmdk_error error;
  const char *text;
  size_t room;

  if (size < 2)
    return 0;
  room = size - 1 + data[0] * 3;
  text = (const char *) data + 1;
  size--;
  (void) descriptor_is_text (text, size);
  if (descriptor_parse (text, size, "disk.vmdk", &logger, &d, &error) == -1) {
    if (error.message[0] == '\0' || error.err == 0)
      abort ();
    return 0;
  }
  change.cid = descriptor_fit_cid (text, size, change.cid);
  if (descriptor_edit (text, size, room, &change, &edited, &error) == 0) {
    if (edited.len > room || (text[0] == '\0' && edited.len != size))
      abort ();
    if (descriptor_parse (edited.text, edited.len, "disk.vmdk", &logger,
                          &after, &error) == -1)
      abort ();
    /* No text at all stays none. */
    if (text[0] != '\0')
      check_same (&d, &after, change.cid);
    descriptor_free (&after);
    free (edited.text);
  }
  descriptor_free (&d);
  return 0;
}
