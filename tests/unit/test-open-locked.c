/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Another program writes a file while it is being opened.  What was read of
 * it before must not count, or that program must be kept out.
 */

#include <config.h>

#include "create.h"
#include "folder.h"
#include "image.h"

#define SIZE (1024 * 1024)

static struct folder folder;

static int
set_up (void **state)
{
  folder_new (&folder);
  return 0;
}

static int
tear_down (void **state)
{
  folder_remove (&folder);
  return 0;
}

/* A chain: base.vmdk, middle.vmdk and top.vmdk. */
static void
make_chain (void)
{
  const struct vmdk_options options = { .writable = true };
  struct vmdk_create_options create = { .size = SIZE };
  const char *const names[] = { "base.vmdk", "middle.vmdk", "top.vmdk" };
  struct vmdk_error error;
  struct vmdk_image *image;
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (names); ++i) {
    if (i > 0)
      create.parent = folder_path (&folder, names[i - 1]);
    image = vmdk_create (folder_path (&folder, names[i]), &create, &options,
                         &error);
    if (!image)
      fail_msg ("%s", error.message);
    vmdk_close (image);
  }
}

/* Somebody who wants to write when the file 'when' is opened. */
struct other {
  struct vmdk_image *image;
  const char *when;
  bool wrote;
};

static struct io *
wrap (void *opaque, struct io *io, struct vmdk_error *error)
{
  struct other *other = opaque;

  if (strcmp (io->name, other->when) == 0 &&
      vmdk_begin_writing (other->image, error) == 0) {
    assert_int_equal (vmdk_pwrite (other->image, "abc", 4, 65536, 0, error),
                      0);
    assert_int_equal (vmdk_end_writing (other->image, error), 0);
    other->wrote = true;
  }
  return io;
}

/* Open top.vmdk while another program, which has 'written' open, writes to
 * that when 'when' is opened.  Returns NULL if it is refused.
 */
static struct vmdk_image *
open_meanwhile (struct other *other, const char *written, const char *when)
{
  const struct vmdk_options options = { .writable = true };
  const struct io_hook hook = { wrap, other };
  struct vmdk_error error;
  struct vmdk_image *image;

  make_chain ();
  *other = (struct other) {
    .image = vmdk_open (folder_path (&folder, written), &options, &error),
    .when = when,
  };
  assert_non_null (other->image);
  image = image_open (folder_path (&folder, "top.vmdk"), &options, &hook,
                      &error);
  vmdk_close (other->image);
  return image;
}

/* All that the other one has written is there. */
static void
test_top (void **state)
{
  struct vmdk_error error;
  struct vmdk_image *image;
  struct other other;
  char text[4];

  image = open_meanwhile (&other, "top.vmdk", "base.vmdk");
  assert_non_null (image);
  assert_int_equal (vmdk_pread (image, text, 4, 65536, &error), 0);
  assert_memory_equal (text, other.wrote ? "abc" : "\0\0\0", 4);
  vmdk_close (image);
}

/* A parent that has changed is not accepted. */
static void
test_parent (void **state)
{
  struct vmdk_image *image;
  struct other other;

  image = open_meanwhile (&other, "middle.vmdk", "base.vmdk");
  assert_true (other.wrote == !image);
  vmdk_close (image);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (test_top, set_up, tear_down),
    cmocka_unit_test_setup_teardown (test_parent, set_up, tear_down),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
