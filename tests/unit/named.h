/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Files that images name, for the tests of the confinement rule.  A file
 * holds its own name, so that it is seen which one was opened.
 */

#ifndef VMDK_TESTS_NAMED_H
#define VMDK_TESTS_NAMED_H

#include "folder.h"
#include "path.h"

/*   outside/secret.vmdk, outside/sub/secret.vmdk
 *   image/disk.vmdk, image/sub/disk2.vmdk
 *   image2/near.vmdk           its name begins like the other folder's
 */
struct named {
  struct folder folder;
  struct path_policy policy;
  int dir;                      /* of image */
};

static inline void
named_write (struct named *n, const char *name)
{
  folder_write_text (&n->folder, name, name);
}

/* With 'nr' allowed folders, which are absolute or lie in the folder of
 * the test.
 */
static inline void
named_allow (struct named *n, const char *const *dirs, size_t nr)
{
  const bool avoid_openat2 = n->policy.avoid_openat2;
  const char *paths[4] = { NULL };
  struct vmdk_error error;
  size_t i;

  assert_true (nr <= 2);
  for (i = 0; i < nr; ++i)
    paths[i] = dirs[i][0] == '/' ? dirs[i] :
      folder_path (&n->folder, dirs[i]);
  path_policy_destroy (&n->policy);
  assert_int_equal (path_policy_init (&n->policy, paths, nr, &error), 0);
  n->policy.avoid_openat2 = avoid_openat2;
}

static inline void
named_init (struct named *n, bool avoid_openat2)
{
  struct vmdk_error error;

  folder_new (&n->folder);
  folder_make_dir (&n->folder, "outside");
  folder_make_dir (&n->folder, "outside/sub");
  folder_make_dir (&n->folder, "image");
  folder_make_dir (&n->folder, "image/sub");
  folder_make_dir (&n->folder, "image2");
  named_write (n, "outside/secret.vmdk");
  named_write (n, "outside/sub/secret.vmdk");
  named_write (n, "image/disk.vmdk");
  named_write (n, "image/sub/disk2.vmdk");
  named_write (n, "image2/near.vmdk");
  assert_int_equal (path_policy_init (&n->policy, NULL, 0, &error), 0);
  n->policy.avoid_openat2 = avoid_openat2;
  n->dir = open (folder_path (&n->folder, "image"),
                 O_PATH | O_DIRECTORY | O_CLOEXEC);
  assert_true (n->dir >= 0);
}

static inline void
named_free (struct named *n)
{
  close (n->dir);
  path_policy_destroy (&n->policy);
  folder_remove (&n->folder);
}

/* The name opens the file 'expected', and no descriptor is lost. */
static inline void
named_check_opens (struct named *n, const char *name, const char *expected,
                   const char *file, int line)
{
  struct vmdk_error error;
  char text[PATH_MAX] = "";
  struct io *io = path_open_named (&n->policy, n->dir, name, NULL, &error);

  if (!io) {
    print_error ("%s: %s\n", name, error.message);
    _fail (file, line);
    return;
  }
  if (io->size != strlen (expected) ||
      io_pread (io, text, io->size, 0, &error) == -1 ||
      strcmp (text, expected) != 0) {
    print_error ("%s opened '%s'\n", name, text);
    _fail (file, line);
  }
  io_unref (io);
}

#define assert_opens(n, name, expected)                         \
  named_check_opens (n, name, expected, __FILE__, __LINE__)

static inline void
named_check_fails (struct named *n, const char *name,
                   enum vmdk_error_kind kind, int err, const char *piece,
                   const char *file, int line)
{
  struct vmdk_error error = { .kind = VMDK_ERROR_NONE };
  int folder = -1;
  struct io *io = path_open_named (&n->policy, n->dir, name, &folder,
                                   &error);

  if (io) {
    io_unref (io);
    close (folder);
    print_error ("%s was opened\n", name);
    _fail (file, line);
  }
  if (folder != -1) {
    print_error ("%s: a folder was left open\n", name);
    _fail (file, line);
  }
  check_error (&error, kind, err, piece, file, line);
}

#define assert_fails(n, name, kind, err, piece)                         \
  named_check_fails (n, name, kind, err, piece, __FILE__, __LINE__)

/* Refused by the rule, and told what would allow it. */
#define assert_denied(n, name)                                          \
  assert_fails (n, name, VMDK_ERROR_DENIED, EACCES, "allow-dir")

/* Each test is run with openat2 and without. */
static inline int
named_setup (void **state)
{
  static struct named n;

  named_init (&n, false);
  *state = &n;
  return 0;
}

static inline int
named_setup_without_openat2 (void **state)
{
  static struct named n;

  named_init (&n, true);
  *state = &n;
  return 0;
}

static inline int
named_teardown (void **state)
{
  named_free (*state);
  return 0;
}

#define named_test(f)                                                   \
  { #f, f, named_setup, named_teardown, NULL },                         \
  { #f " without openat2", f, named_setup_without_openat2,              \
    named_teardown, NULL }

#endif /* VMDK_TESTS_NAMED_H */
