#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# One call on the files of an image fails in the middle of a workload, with an
# I/O error, for want of space, or half way: see power-cut/power-cut.c.
#
# POWER_CUT_WORKLOADS is how many for each kind, POWER_CUT_SEED the first seed.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/power-cut-functions.sh
. "$srcdir/power-cut-functions.sh"

skip_if_valgrind "the same code is run without nbdkit"

for kind in "${KINDS[@]}"; do
  make_kind "$kind"
  "$builddir/power-cut" fault "$TMP/images" "$TMP/work" \
    "${POWER_CUT_SEED:-1}" "${POWER_CUT_WORKLOADS:-12}" 10 ||
    fail "$kind"
done
