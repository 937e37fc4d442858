# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# shellcheck shell=bash

# For tests of which files a disk may name.  Source it behind
# image-functions.sh.  $TMP/in holds the disk, $TMP/out others.

mkdir "$TMP/in" "$TMP/out" "$TMP/in/sub"
head -c 4096 /dev/urandom >"$TMP/data"
cp "$TMP/data" "$TMP/out/data"
cp "$TMP/data" "$TMP/in/data"
cp "$TMP/data" "$TMP/in/sub/data"
export DATA="$TMP/data"
disk=$TMP/in/disk.vmdk

# name_extent NAME: a disk of 8 sectors in that file.
name_extent ()
{
  printf '# Disk DescriptorFile\nversion=1\nCID=12345678\n' >"$disk"
  printf 'parentCID=ffffffff\ncreateType="monolithicFlat"\n' >>"$disk"
  printf 'RW 8 FLAT "%s" 0\n' "$1" >>"$disk"
}

# served NAME [PARAMETER...]: it is, and the bytes are right.
served ()
{
  name_extent "$1"
  check_served "${@:2}"
}

# denied NAME [PARAMETER...]: it is not, and the message says what to do.
denied ()
{
  name_extent "$1"
  refuses_fast 'allow-dir' vmdk "$disk" "${@:2}"
}

# make_parent FOLDER NAME [EXTENT]: a disk that may be a parent, whose content
# is in the file EXTENT, "data" unless it is given.
make_parent ()
{
  name_extent "${3:-data}"
  mv "$disk" "$TMP/$1/$2"
}

# name_parent HINT: a disk without anything but a parent.
name_parent ()
{
  [ -e "$TMP/in/empty" ] ||
    mkvmdk --size=8s --grain=8 --bare --fill=empty monolithicSparse \
      "$TMP/in/empty"
  printf '# Disk DescriptorFile\nversion=1\nCID=2\nparentCID=12345678\n' \
    >"$disk"
  printf 'createType="custom"\nparentFileNameHint="%s"\n' "$1" >>"$disk"
  printf 'RW 8 SPARSE "empty"\n' >>"$disk"
}

# check_served [PARAMETER...]: the disk is, and the bytes are right.  It may be
# larger.
check_served ()
{
  rm -f "$OUT.raw"
  copy_out "$disk" "$OUT.raw" "$@"
  cmp -n 4096 "$OUT.raw" "$DATA"
}
