#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Calls on the files of an image fail, and allocations; the client works on; and
# then the power is cut: see tests/crash/crash.c.  Notes of what has been freed are
# made to fail more than their share, because an image depends on them most.
#
# CRASH_WORKLOADS is how many, CRASH_SEED the first seed.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"

skip_if_valgrind "the same code is run without nbdkit"

for faults in any record; do
  TMPDIR=$TMP "$builddir/crash-test" --seed="${CRASH_SEED:-1}" \
    --workloads="${CRASH_WORKLOADS:-104}" --cuts=12 --faults=$faults \
    --keep="$TMP/failed"
done
