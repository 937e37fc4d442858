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
memory_folder

# run FAULTS SEED [ARGUMENT...]
run ()
{
  TMPDIR=$memory core crash-test --faults="$1" --seed="$2" \
    --workloads="${CRASH_WORKLOADS:-104}" --cuts=12 --keep="$TMP/failed" \
    "${@:3}"
}

run any "${CRASH_SEED:-1}"
run record "${CRASH_SEED:-1}"

# Tables that were written when the image was given up, but not synced: what
# they do not name any more is not free when it is opened again.
run full "${CRASH_SEED:-40100}" --kind=cowd
