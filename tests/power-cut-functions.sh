# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# For the tests that run power-cut: small images of each kind that is written.
# Sourced after functions.sh.

# make_kind KIND: put such an image into $TMP/images, and whether QEMU can check
# it into QEMU_CHECKS.
make_kind ()
{
  local parent='' options=()

  rm -rf "$TMP/images" "$TMP/work"
  mkdir "$TMP/images" "$TMP/work"
  QEMU_CHECKS=no
  case $1 in
    sparse)
      options=(--grain=8 --gtes=128 monolithicSparse) QEMU_CHECKS=yes ;;
    sparse-64k)
      options=(--fill=empty monolithicSparse) QEMU_CHECKS=yes ;;
    zeroed)
      options=(--grain=8 --gtes=128 --zeroed monolithicSparse)
      QEMU_CHECKS=yes ;;
    split)
      options=(--grain=8 --gtes=128 --extent-size=900s twoGbMaxExtentSparse)
      QEMU_CHECKS=yes ;;
    no-tables)
      options=(--grain=8 --gtes=128 --sparse-gd --fill=empty
        monolithicSparse) ;;
    cowd) options=(--fill=random vmfsSparse) ;;
    cowd-4k) options=(--grain=8 --fill=empty vmfsSparse) ;;
    flat) options=(monolithicFlat) ;;
    over-sparse)
      parent=monolithicSparse
      options=(--grain=8 --gtes=128 monolithicSparse) QEMU_CHECKS=yes ;;
    over-stream)
      parent=streamOptimized
      options=(--grain=8 --gtes=128 --zeroed monolithicSparse) ;;
    over-cowd)
      parent=vmfsSparse
      options=(--grain=16 --gtes=128 --extent-size=900s
        twoGbMaxExtentSparse) ;;
    cowd-over-flat)
      parent=monolithicFlat
      options=(--grain=4 vmfsSparse) ;;
    *) fail "make_kind: $1" ;;
  esac
  if [ -n "$parent" ]; then
    mkvmdk --size=2500s "$parent" "$TMP/images/base.vmdk"
    options=(--parent="$TMP/images/base.vmdk" "${options[@]}")
  fi
  mkvmdk --size=2500s "${options[@]}" "$TMP/images/top.vmdk"
}

KINDS=(sparse sparse-64k zeroed split no-tables cowd cowd-4k flat over-sparse
  over-stream over-cowd cowd-over-flat)
