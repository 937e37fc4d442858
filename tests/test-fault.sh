#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Each call on the files of an image, and each allocation, fails once while small
# images of all kinds that can be written are changed: see tests/crash/fault.c.
#
# FAULT_CALLS is how many calls fail at most in each way and for each kind,
# FAULT_SEED the seed.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"

skip_if_valgrind "the same code is run without nbdkit"
memory_folder

TMPDIR=$memory core fault-test --seed="${FAULT_SEED:-1}" \
  --calls="${FAULT_CALLS:-4}"
