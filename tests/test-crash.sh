#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# The power is cut at many moments while small images of all kinds that can
# be written are changed at random: see tests/crash/crash.c.
#
# CRASH_WORKLOADS is how many, CRASH_SEED the first seed.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"

skip_if_valgrind "the same code is run without nbdkit"
memory_folder

qemu=
! qemu-img --version >/dev/null || qemu=--qemu
TMPDIR=$memory core crash-test --seed="${CRASH_SEED:-1}" \
  --workloads="${CRASH_WORKLOADS:-130}" --cuts=15 --keep="$TMP/failed" $qemu
