#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Random images and chains, changed by several threads past the page cache.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/unbuffered-functions.sh
. "$srcdir/unbuffered-functions.sh"

skip_if_valgrind "the same code is run without nbdkit"

export UNBUFFERED=1
written=0
set +x
for ((i = 3001; i < 3041; i++)); do
  write_random "$i" 100
done
echo "$written images of 40 were written"
[ "$written" -ge 10 ]
