#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# In a build with the address sanitizer leaks of the server are seen, and what
# variables know of is none.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

grep -q "^preload=.*asan" "$top_builddir/nbdkit" ||
  skip "this build does not have the address sanitizer"

make_image monolithicSparse --size=1M
mkdir "$TMP/reports"
NBDKIT_REPORTS=$TMP/reports NBDKIT_PRELOAD=$builddir/.libs/leaking.so \
  nbdkit -r -U - vmdk "$IMAGE" --run true || :
cat "$TMP"/reports/sanitizer.* >"$TMP/all"
cat "$TMP/all"
grep 'Direct leak of 77 byte' "$TMP/all"
fails grep 'leak of 78 byte' "$TMP/all"
