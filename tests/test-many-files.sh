#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# More extents than the usual soft limit of open files, and with a hard limit
# that is too low, a message that says which.  A disk leaves some for clients.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

skip_if_valgrind "it keeps files of its own open"

# make_flat N: a disk of so many extents.
make_flat ()
{
  local i

  rm -rf "$TMP/disk"
  mkdir "$TMP/disk"
  for ((i = 0; i < $1; i++)); do
    echo "$TMP/disk/f$i"
  done | xargs truncate -s 4096
  {
    printf '# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\n'
    printf 'createType="twoGbMaxExtentFlat"\n'
    for ((i = 0; i < $1; i++)); do
      printf 'RW 8 FLAT "f%d" 0\n' $i
    done
  } >"$IMAGE"
}

make_flat 1500
ulimit -Sn 256
# shellcheck disable=SC2016
size=$(serve_and "$IMAGE" 'nbdinfo --size "$uri"')
[ "$size" = $((1500 * 4096)) ]

ulimit -n 256
refuses 'disk\.vmdk: line .*Too many open files.* 256 .*ulimit -n.* 192' \
  vmdk "$IMAGE"

# With all that it may have, 12 clients at a time find room.
n=150
too_many=193
while [ $((too_many - n)) -gt 1 ]; do
  middle=$(((n + too_many) / 2))
  make_flat $middle
  if nbdkit -U - vmdk "$IMAGE" --run true; then
    n=$middle
  else
    too_many=$middle
  fi
done
[ $n -gt 150 ]
make_flat $n
# shellcheck disable=SC2016
serve_and "$IMAGE" 'nbdsh -c "
h = [nbd.NBD() for _ in range(12)]
for c in h:
    c.connect_uri(\"$uri\")
for c in h:
    assert c.pread(4096, c.get_size() - 4096) == bytes(4096)
"'
