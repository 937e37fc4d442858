#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Random images and chains, changed by several threads past the page cache.
#
# UNBUFFERED_IMAGES is how many.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/unbuffered-functions.sh
. "$srcdir/unbuffered-functions.sh"

skip_if_valgrind "the same code is run without nbdkit"

export UNBUFFERED=1
count=${UNBUFFERED_IMAGES:-40}
written=0
set +x
for ((i = 3001; i <= 3000 + count; i++)); do
  write_random "$i" 100
done
echo "$written images of $count were written"
[ "$written" -ge $((count / 4)) ]
