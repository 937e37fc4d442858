/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* A stream that is being written, as an image: what the public calls do with
 * one.
 */

#include <config.h>

#include <stdlib.h>

#include "stream-image.h"

struct vmdk_image *
stream_create (const struct stream_create_options *options,
               struct vmdk_error *error)
{
  struct vmdk_image *image = calloc (1, sizeof *image);

  if (!image) {
    error_nomem (error);
    return NULL;
  }
  image->logger = options->logger;
  epochs_init (&image->epochs);
  writing_init (image);
  image->stream = stream_writer_create (options, error);
  if (image->stream)
    return image;
  vmdk_close (image);
  return NULL;
}

void
stream_image_close (struct vmdk_image *image)
{
  struct vmdk_error error;

  /* What has failed was said when it did, unless that is now. */
  if (stream_writer_check (image->stream, &error) == 0 &&
      stream_writer_finish (image->stream, &error) == -1)
    logger_warn (&image->logger, "%s", error.message);
  stream_writer_free (image->stream);
}

void
stream_image_describe (struct vmdk_description *description)
{
  *description = (struct vmdk_description) {
    .create_type = "streamOptimized",
    .nr_extents = 1,
    .nr_links = 1,
    .grain_size = STREAM_GRAIN_SIZE,
  };
}

int
stream_image_map (struct vmdk_image *image, uint64_t offset, uint64_t count,
                  vmdk_map_callback *callback, void *opaque)
{
  while (count > 0) {
    uint64_t length;
    const bool allocated =
      stream_writer_is_allocated (image->stream, offset, count, &length);
    const int r = callback (opaque, offset, length,
                            allocated ? VMDK_ALLOCATED : VMDK_HOLE);

    if (r != 0)
      return r > 0 ? 0 : r;
    offset += length;
    count -= length;
  }
  return 0;
}

int
stream_image_begin_writing (struct vmdk_image *image,
                            struct vmdk_error *error)
{
  if (stream_writer_check (image->stream, error) == -1 ||
      stream_writer_check_name (image->stream, error) == -1)
    return -1;
  image->writing.begun = true;
  return 0;
}

int
stream_image_end_writing (struct vmdk_image *image, struct vmdk_error *error)
{
  image->writing.begun = false;
  if (!stream_writer_has_data (image->stream))
    return 0;
  return stream_writer_finish (image->stream, error);
}
