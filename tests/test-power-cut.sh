#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Images of each kind that is written are whole after a power cut at any moment
# of random workloads: see power-cut/power-cut.c.
#
# POWER_CUT_WORKLOADS is how many for each kind, POWER_CUT_SEED the first seed.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/power-cut-functions.sh
. "$srcdir/power-cut-functions.sh"

skip_if_valgrind "the same code is run without nbdkit"

for kind in "${KINDS[@]}"; do
  make_kind "$kind"
  "$builddir/power-cut" crash "$TMP/images" "$TMP/work" \
    "${POWER_CUT_SEED:-1}" "${POWER_CUT_WORKLOADS:-12}" 8 ||
    fail "$kind"
  # What the last power cut left, and was written to since.
  if [ $QEMU_CHECKS = yes ] && command -v qemu-img; then
    qemu-img check -f vmdk "$TMP/work/top.vmdk"
  fi
done
