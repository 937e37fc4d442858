#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# monolithicSparse: content and map of every pattern of allocation.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

for fill in random full empty every-other edges; do
  try monolithicSparse --size=70M --fill=$fill
done
for version in 1 2 3; do
  try monolithicSparse --size=5M --version=$version
done
