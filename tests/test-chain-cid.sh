#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# The content ID of the parent.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

# shellcheck source=tests/chain-functions.sh
. "$srcdir/chain-functions.sh"

# CIDs are numbers: case and leading zeroes do not matter.
make_base monolithicFlat --size=1M --cid=08abb323
make_child monolithicSparse --size=1M --parent-cid=8abb323
check_image
make_child monolithicSparse --size=1M --parent-cid=08ABB323
check_image

# Another number is refused, with both and the way out, for a parent that is
# found and for one that is named.
make_child monolithicSparse --size=1M --parent-cid=11111111
refuses '11111111.*08abb323.*ignore-cid=true' vmdk "$IMAGE"
refuses '11111111.*08abb323.*ignore-cid=true' vmdk "$IMAGE" \
  parent="$TMP/disk/base.vmdk"
check_image ignore-cid=true
check_image ignore-cid=true parent="$TMP/disk/base.vmdk"

# CIDs that are special when written are not special when read.
for cid in fffffffe 00000000; do
  make_base monolithicFlat --size=1M --cid=$cid
  make_child monolithicSparse --size=1M
  check_image
done
