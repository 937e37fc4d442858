#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# unbuffered=true reads what is read without it, of files that end where blocks
# do not, too, and leaves nothing in the page cache.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/unbuffered-functions.sh
. "$srcdir/unbuffered-functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

requires_nbdsh
requires fincore --version

# in_cache: how much of the image's files is in the page cache.
in_cache ()
{
  for file in "$TMP"/disk/*; do
    fincore -b -n -r -o RES "$file"
  done | awk '{ sum += $1 } END { print sum }'
}

drop_cache ()
{
  for file in "$TMP"/disk/*; do
    dd of="$file" oflag=nocache conv=notrunc,fdatasync count=0 status=none
  done
}

# check KIND [OPTION OF MKVMDK...]
check ()
{
  make_image "$@"
  check_image unbuffered=true
  # shellcheck disable=SC2016
  serve_and "$IMAGE" '"$PYTHON" "$srcdir/check-random-reads.py" "$uri" "$MODEL"' \
    unbuffered=true
  drop_cache
  before=$(in_cache)
  # shellcheck disable=SC2016
  serve_and "$IMAGE" 'nbdsh -u "$uri" -c "h.cache(h.get_size(), 0)"' \
    unbuffered=true
  copy_out "$IMAGE" "$OUT" unbuffered=true
  after=$(in_cache)
  echo "in the page cache: $before bytes, then $after"
  [ "$after" -le $((before + 65536)) ]
  cmp "$OUT" "$MODEL"
}

check monolithicSparse --size=9001s --fill=full
check twoGbMaxExtentSparse --size=9001s --extent-size=4003s
check monolithicFlat --size=9001s --fill=full
check monolithicFlat --size=9001s --flat-offset=333s
check twoGbMaxExtentFlat --size=9001s --extent-size=4003s --fill=full
check streamOptimized --size=9001s --fill=full
check vmfsSparse --size=9001s --fill=full
check seSparse --size=16M --fill=full
