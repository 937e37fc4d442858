# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

"""The rules of failing-disk.c, for tests that source
failing-disk-functions.sh."""

import errno
import os

END = 1 << 62


def fail(*rules):
    """From now on these calls fail, and no others.  A rule is (call, name of
    the file[, first byte, end[, errno]]); errno may also be what failing-disk.c
    has instead of one."""
    path = os.environ["FAILING_DISK"]
    with open(path + ".new", "w", encoding="utf-8") as f:
        for rule in rules:
            call, name, first, end, number = (
                *rule, *(0, END, errno.EIO)[len(rule) - 2:])
            f.write(f"{call} {name} {first} {end} {number}\n")
    os.rename(path + ".new", path)
