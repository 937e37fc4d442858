#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Damaged images of streamOptimized that must be refused.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

n=0
list_damages refuse streamOptimized
for damage in $damages; do
  case $damage in
    # Not fatal: the grains are found by their markers.
    footer-magic | footer-capacity) ;;
    *) (refused_damage "$damage" streamOptimized --size=5M) ||
      fail "damage that is not refused well: $damage"
      n=$((n + 1)) ;;
  esac
done
[ $n -ge 10 ]
