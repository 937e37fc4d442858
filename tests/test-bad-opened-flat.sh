#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Odd flat disks that are served.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

for kind in monolithicFlat twoGbMaxExtentFlat vmfs; do
  check_opened_damage $kind --size=3M --extent-size=1M
done
