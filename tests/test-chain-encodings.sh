#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# The name of a parent in UTF-8 and in other encodings.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

# shellcheck source=tests/chain-functions.sh
. "$srcdir/chain-functions.sh"

# says ENCODING HINT: the child does, in these very bytes.
says ()
{
  rm -f "$TMP"/disk/disk*
  make_child twoGbMaxExtentSparse --size=1M --hint=base.vmdk
  LC_ALL=C sed -i "s/^encoding=.*/encoding=\"$1\"/; s/base\\.vmdk/$2/" "$IMAGE"
  LC_ALL=C grep -qaF "$2" "$IMAGE"
  grep -q "^encoding=\"$1\"" "$IMAGE"
}

make_base monolithicSparse --size=1M
mv "$TMP/disk/base.vmdk" "$TMP/disk/Größe.vmdk"
# Where mkvmdk finds the parent.
ln -s "Größe.vmdk" "$TMP/disk/base.vmdk"
bytes=$(printf 'Gr\366\337e.vmdk')

says UTF-8 "Größe.vmdk"
check_image
says windows-1252 "$bytes"
check_image
# A message says which parent was meant.
mv "$TMP/disk/Größe.vmdk" "$TMP/elsewhere"
refuses 'its parent Größe\.vmdk was found neither' vmdk "$IMAGE"

# The file's name has the very bytes of the descriptor.
mv "$TMP/elsewhere" "$TMP/disk/$bytes"
ln -sf "$bytes" "$TMP/disk/base.vmdk"
says windows-1252 "$bytes"
check_image
says x-nobody-knows "$bytes"
check_image
