/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Somebody changes what names lead to while they are opened: a file, or the
 * folder that it is in, is now what it was and now a link that leads
 * outside.  Whatever is opened, it is never what lies there.
 */

#include <config.h>

#include <pthread.h>
#include <stdatomic.h>

#include "named.h"

#define ROUNDS 4000

struct swap {
  int dir;                      /* where the names are */
  const char *name, *good, *bad;
  atomic_bool stop;
};

static void *
keep_swapping (void *arg)
{
  struct swap *s = arg;

  while (!atomic_load (&s->stop)) {
    /* Either is moved away, and the other gets the name. */
    (void) renameat (s->dir, s->name, s->dir, s->good);
    (void) renameat (s->dir, s->bad, s->dir, s->name);
    (void) renameat (s->dir, s->name, s->dir, s->bad);
    (void) renameat (s->dir, s->good, s->dir, s->name);
  }
  return NULL;
}

/* Open 'name', of which 's' says what it is a part of, many times. */
static void
open_many (struct named *n, struct swap *s, const char *name)
{
  pthread_t thread;
  unsigned i, opened = 0;

  atomic_init (&s->stop, false);
  s->dir = open (folder_path (&n->folder, "image"), O_RDONLY | O_CLOEXEC);
  assert_true (s->dir >= 0);
  assert_int_equal (pthread_create (&thread, NULL, keep_swapping, s), 0);
  for (i = 0; i < ROUNDS; ++i) {
    struct vmdk_error error;
    char text[6];
    struct io *io;
    int folder = -1;

    io = path_open_named (&n->policy, n->dir, name,
                          i % 2 == 0 ? &folder : NULL, &error);
    if (!io)
      continue;
    opened++;
    assert_int_equal (io_pread (io, text, sizeof text, 0, &error), 0);
    assert_memory_equal (text, "image/", sizeof text);
    io_unref (io);
    if (folder != -1) {
      char path[PATH_MAX];

      /* Nor is the next name looked for there. */
      assert_int_equal (path_of_fd (folder, path), 0);
      assert_null (strstr (path, "/outside"));
      close (folder);
    }
  }
  atomic_store (&s->stop, true);
  pthread_join (thread, NULL);
  close (s->dir);
  print_message ("opened %u times of %u\n", opened, ROUNDS);
}

static void
test_file (void **state)
{
  struct named *n = *state;
  struct swap s = { .name = "disk.vmdk", .good = "g", .bad = "b" };

  assert_int_equal (symlinkat ("../outside/secret.vmdk", n->dir, "b"), 0);
  open_many (n, &s, "disk.vmdk");
}

static void
test_absolute_link (void **state)
{
  struct named *n = *state;
  struct swap s = { .name = "disk.vmdk", .good = "g", .bad = "b" };

  assert_int_equal (symlinkat (folder_path (&n->folder,
                                            "outside/secret.vmdk"),
                               n->dir, "b"), 0);
  open_many (n, &s, "disk.vmdk");
}

static void
test_folder (void **state)
{
  struct named *n = *state;
  struct swap s = { .name = "sub", .good = "g", .bad = "b" };

  named_write (n, "image/sub/secret.vmdk");
  assert_int_equal (symlinkat ("../outside/sub", n->dir, "b"), 0);
  open_many (n, &s, "sub/secret.vmdk");
}

/* What is opened is the file, not the FIFO that took its name. */
static void
test_fifo (void **state)
{
  struct named *n = *state;
  struct swap s = { .name = "disk.vmdk", .good = "g", .bad = "b" };

  assert_int_equal (mkfifoat (n->dir, "b", 0600), 0);
  open_many (n, &s, "disk.vmdk");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    named_test (test_file),
    named_test (test_absolute_link),
    named_test (test_folder),
    named_test (test_fifo),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
