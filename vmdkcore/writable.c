/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Why an image cannot be written. */

#include <config.h>

#include <errno.h>

#include "content-id.h"
#include "writing.h"

static bool
same_file (const struct io *a, const struct io *b)
{
  return a->dev == b->dev && a->ino == b->ino && a->ino != 0;
}

/* Is a file of the link the same as another one of it, or of a parent? */
static const struct io *
find_shared_file (const struct vmdk_image *image)
{
  const struct link *top = image_top_link (image);
  size_t i, j, k;

  for (i = 0; i < top->nr_files; ++i) {
    if (i > 0 && same_file (top->files[0], top->files[i]))
      return top->files[i];
    for (j = 1; j < image->chain.nr; ++j)
      for (k = 0; k < image->chain.links[j]->nr_files; ++k)
        if (same_file (top->files[i], image->chain.links[j]->files[k]))
          return top->files[i];
  }
  return NULL;
}

int
writing_check_image (const struct vmdk_image *image,
                     struct vmdk_error *error)
{
  const struct link *link = image_top_link (image);
  const struct io *shared;
  size_t i;

  if (image->chain.cut)
    return error_set (error, VMDK_ERROR_UNSUPPORTED, EROFS,
                      "%s: is read-only because it is opened without its "
                      "parent", link->name);
  if (link->is_bare && image->chain.nr == 1)
    return error_set (error, VMDK_ERROR_UNSUPPORTED, EROFS,
                      "%s: is read-only because it is opened without its "
                      "descriptor", link->name);
  if (link->read_only_line != 0)
    return error_set (error, VMDK_ERROR_UNSUPPORTED, EROFS,
                      "%s: is read-only because line %u of the descriptor is "
                      "RDONLY", link->name, link->read_only_line);
  for (i = 0; i < link->nr_extents; ++i)
    if (link->extents[i]->read_only)
      return error_set (error, VMDK_ERROR_UNSUPPORTED, EROFS,
                        "%s: is read-only: %s", link->name,
                        link->extents[i]->read_only);
  for (i = 0; i < link->nr_files; ++i)
    if (!link->files[i]->writable)
      return error_set (error, VMDK_ERROR_UNSUPPORTED, EROFS,
                        "%s: is read-only because writing to %s is not "
                        "permitted", link->name, link->files[i]->name);
  shared = find_shared_file (image);
  if (shared)
    return error_set (error, VMDK_ERROR_CORRUPT, EROFS,
                      "%s: is read-only because %s has more than one part in "
                      "it", link->name, shared->name);
  return content_id_check (link, error);
}
