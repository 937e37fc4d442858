#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Random images of all kinds, alone and in chains, changed at random through
# the core by several threads, and compared with a model.  No parent changes.
#
# RANDOM_IMAGES is how many, RANDOM_SEED the first seed.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"

skip_if_valgrind "the same code is run without nbdkit"

count=${RANDOM_IMAGES:-120}
seed=${RANDOM_SEED:-1}
written=0
set +x
for ((i = seed; i < seed + count; i++)); do
  write_random "$i" 200
done
echo "$written images of $count were written"
[ "$written" -ge $((count / 4)) ]
