/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Somebody renames files and folders while a name is looked up.  At a
 * chosen call of the look-up, or, by another thread, all the time.
 */

#include <config.h>

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>

#include "named.h"

extern int __real_open (const char *path, int flags, ...);
extern int __wrap_open (const char *path, int flags, ...);
extern int __real_openat (int dir, const char *path, int flags, ...);
extern int __wrap_openat (int dir, const char *path, int flags, ...);
extern ssize_t __real_readlink (const char *path, char *buf, size_t size);
extern ssize_t __wrap_readlink (const char *path, char *buf, size_t size);

/* What is done before the call of this number from here, counting those
 * above.  0: nothing.
 */
static _Thread_local unsigned calls_left;
static void (*swap) (struct named *n);
static struct named *swapped;

static void
count_call (void)
{
  if (calls_left > 0 && --calls_left == 0)
    swap (swapped);
}

int
__wrap_open (const char *path, int flags, ...)
{
  va_list args;
  mode_t mode;

  count_call ();
  va_start (args, flags);
  mode = va_arg (args, mode_t);
  va_end (args);
  return __real_open (path, flags, mode);
}

int
__wrap_openat (int dir, const char *path, int flags, ...)
{
  va_list args;
  mode_t mode;

  count_call ();
  va_start (args, flags);
  mode = va_arg (args, mode_t);
  va_end (args);
  return __real_openat (dir, path, flags, mode);
}

ssize_t
__wrap_readlink (const char *path, char *buf, size_t size)
{
  count_call ();
  return __real_readlink (path, buf, size);
}

static void
rename_in (struct named *n, const char *from, const char *to)
{
  assert_int_equal (rename (folder_path (&n->folder, from),
                            folder_path (&n->folder, to)), 0);
}

/* The folder of the image gets the name of the other one. */
static void
become_outside (struct named *n)
{
  rename_in (n, "outside", "moved");
  rename_in (n, "image", "outside");
}

/* The other folder gets the name of the image's. */
static void
become_image (struct named *n)
{
  rename_in (n, "image", "moved");
  rename_in (n, "outside", "image");
}

static void
link_to_image (struct named *n)
{
  folder_link (&n->folder, "image", "new-link");
  rename_in (n, "new-link", "link");
}

static ino_t
inode (struct named *n, const char *name)
{
  struct stat statbuf;

  assert_int_equal (stat (folder_path (&n->folder, name), &statbuf), 0);
  return statbuf.st_ino;
}

/* Calls of a look-up that a swap is tried at: there are fewer. */
#define MAX_CALLS 40

/* Open the name, with a swap before a call of each number.  What is
 * opened is never a file of the other folder, nor is the folder of the
 * file that one.
 */
static void
check_each_call (struct named *n, const char *name,
                 void (*how) (struct named *n))
{
  const bool avoid_openat2 = n->policy.avoid_openat2;
  unsigned call;

  for (call = 1; call < MAX_CALLS; ++call) {
    const ino_t outside = inode (n, "outside");
    const ino_t outside_sub = inode (n, "outside/sub");
    struct vmdk_error error;
    char text[PATH_MAX] = "";
    struct stat statbuf;
    int folder = -1;
    bool done;
    struct io *io;

    swap = how;
    swapped = n;
    calls_left = call;
    io = path_open_named (&n->policy, n->dir, name, &folder, &error);
    done = calls_left > 0;
    calls_left = 0;
    if (io) {
      assert_int_equal (io_pread (io, text, io->size, 0, &error), 0);
      if (strncmp (text, "outside", 7) == 0)
        fail_msg ("a swap at call %u: %s was opened", call, text);
      io_unref (io);
      assert_int_equal (fstat (folder, &statbuf), 0);
      if (statbuf.st_ino == outside || statbuf.st_ino == outside_sub)
        fail_msg ("a swap at call %u: names are looked for outside", call);
      close (folder);
    }
    named_free (n);
    named_init (n, avoid_openat2);
    if (done)
      return;
  }
  fail_msg ("a look-up has more calls than expected");
}

static void
test_image_becomes_outside (void **state)
{
  struct named *n = *state;

  check_each_call (n, "../outside/secret.vmdk", become_outside);
  check_each_call (n, "../outside/sub/secret.vmdk", become_outside);
  check_each_call (n, "sub/disk2.vmdk", become_outside);
}

static void
test_outside_becomes_image (void **state)
{
  struct named *n = *state;

  check_each_call (n, "../outside/secret.vmdk", become_image);
  check_each_call (n, "sub/disk2.vmdk", become_image);
  check_each_call (n, "../image/sub/disk2.vmdk", become_image);
}

/* The user's file, and the folder that its names are looked for in, are of
 * one place: else a link that is changed meanwhile could make that any
 * folder.
 */
static void
test_user (void **state)
{
  struct named *n = *state;
  const bool avoid_openat2 = n->policy.avoid_openat2;
  unsigned call;

  for (call = 1; call < 10; ++call) {
    struct vmdk_error error;
    char path[PATH_MAX];
    int dir = -1;
    struct io *io;

    named_write (n, "outside/disk.vmdk");
    folder_link (&n->folder, "outside", "link");
    swap = link_to_image;
    swapped = n;
    calls_left = call;
    io = path_open_user (&n->policy,
                         folder_path (&n->folder, "link/disk.vmdk"), &dir,
                         &error);
    calls_left = 0;
    if (io) {
      char text[PATH_MAX] = "";

      assert_int_equal (io_pread (io, text, io->size, 0, &error), 0);
      assert_int_equal (path_of_fd (dir, path), 0);
      if (strncmp (strrchr (path, '/') + 1, text, 5) != 0)
        fail_msg ("a swap at call %u: %s with names in %s", call, text,
                  path);
      io_unref (io);
      close (dir);
    }
    named_free (n);
    named_init (n, avoid_openat2);
  }
}

/* A thread that exchanges files for links to others. */
struct exchanger {
  struct named *n;
  atomic_bool stop;
};

#define NR_OPENS 3000

static void *
exchange (void *arg)
{
  struct exchanger *e = arg;
  unsigned i;

  /* The bound is for a test that fails before it says "stop". */
  for (i = 0; i < 10 * 1000 * 1000 && !atomic_load (&e->stop); ++i) {
    (void) renameat2 (e->n->dir, "file", e->n->dir, "file-link",
                      RENAME_EXCHANGE);
    (void) renameat2 (e->n->dir, "folder", e->n->dir, "folder-link",
                      RENAME_EXCHANGE);
    (void) renameat2 (e->n->dir, "fifo", e->n->dir, "no-fifo",
                      RENAME_EXCHANGE);
  }
  return NULL;
}

static void
test_exchanged_all_the_time (void **state)
{
  static const char *const names[] = {
    "file", "folder/secret.vmdk", "folder/../disk.vmdk", "fifo",
    "folder/sub/../secret.vmdk",
  };
  struct named *n = *state;
  struct exchanger e = { .n = n };
  const time_t end = time (NULL) + 20;
  unsigned i, opened = 0, refused = 0;
  pthread_t thread;

  named_write (n, "image/file");
  folder_link (&n->folder, "../outside/secret.vmdk", "image/file-link");
  folder_make_dir (&n->folder, "image/folder");
  folder_make_dir (&n->folder, "image/folder/sub");
  named_write (n, "image/folder/secret.vmdk");
  folder_link (&n->folder, "../outside", "image/folder-link");
  assert_int_equal (mkfifo (folder_path (&n->folder, "image/fifo"), 0600),
                    0);
  named_write (n, "image/no-fifo");
  if (renameat2 (n->dir, "fifo", n->dir, "no-fifo", RENAME_EXCHANGE) == -1)
    skip ();

  assert_int_equal (pthread_create (&thread, NULL, exchange, &e), 0);
  /* Under valgrind, where one thread runs at a time, fewer will do. */
  alarm (200);
  for (i = 0; i < NR_OPENS && (i < 20 || time (NULL) < end); ++i) {
    const char *name = names[i % ARRAY_LENGTH (names)];
    char path[PATH_MAX], text[PATH_MAX] = "";
    struct vmdk_error error;
    int folder = -1;
    struct io *io = path_open_named (&n->policy, n->dir, name, &folder,
                                     &error);

    if (!io) {
      refused++;
      continue;
    }
    opened++;
    assert_int_equal (io_pread (io, text, io->size, 0, &error), 0);
    assert_int_equal (path_of_fd (folder, path), 0);
    if (strncmp (text, "outside", 7) == 0 || strstr (path, "/outside"))
      fail_msg ("%s opened %s, with names in %s", name, text, path);
    io_unref (io);
    close (folder);
  }
  alarm (0);
  atomic_store (&e.stop, true);
  assert_int_equal (pthread_join (thread, NULL), 0);
  print_message ("%u opened, %u refused\n", opened, refused);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    named_test (test_image_becomes_outside),
    named_test (test_outside_becomes_image),
    named_test (test_user),
    named_test (test_exchanged_all_the_time),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
