# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# shellcheck shell=bash

# For tests of disks that die under a running server.  Source it behind
# functions.sh and image-functions.sh; Python then has failing_disk.py.

requires_nbdsh
export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1
export FAILING_DISK="$TMP/failing-disk"
export NBDKIT_PRELOAD="$builddir/.libs/failing-disk.so"
: >"$FAILING_DISK"
