#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Sparse extents whose parts lie in other places than usual.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

for kind in monolithicSparse twoGbMaxExtentSparse; do
  for option in --no-rgd --primary-only --zeroed --sparse-gd --shuffle \
    --gd-behind --unaligned --header-rounded; do
    try $kind --size=400001s $option --fill=edges
    try $kind --size=12345s --grain=8 --gtes=128 --extent-size=5000s $option
  done
  try $kind --size=23456s --grain=16 --extent-size=7000s --no-rgd --zeroed \
    --sparse-gd --shuffle --gd-behind --unaligned --header-rounded
  try $kind --size=23456s --grain=4 --extent-size=7000s --zeroed --sparse-gd \
    --shuffle --version=3 --fill=every-other
done
