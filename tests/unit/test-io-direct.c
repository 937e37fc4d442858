/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The backend past the page cache: where it cannot be. */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "io.h"

static void
test_refused (void **state)
{
  struct vmdk_error error;
  const int fd = open ("/proc/version", O_RDONLY);

  (void) state;
  assert_int_not_equal (fd, -1);
  assert_null (io_direct_new (fd, false, "disk.vmdk", &error));
  assert_int_equal (error.kind, VMDK_ERROR_UNSUPPORTED);
  assert_int_equal (error.err, ENOTSUP);
  assert_string_equal (error.message, "disk.vmdk: cannot be opened "
                       "unbuffered: the file system it is in does not have "
                       "O_DIRECT");
  /* It has been closed. */
  assert_int_equal (fcntl (fd, F_GETFD), -1);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_refused),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
