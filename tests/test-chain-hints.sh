#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Where the parent is looked for.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

# shellcheck source=tests/chain-functions.sh
. "$srcdir/chain-functions.sh"

# found HINT...: with each hint the parent is found.
found ()
{
  local hint

  for hint; do
    rm -f "$IMAGE"
    make_child monolithicSparse --size=1M --hint="$hint"
    check_image
  done
}

make_base monolithicSparse --size=1M

# Beside the child, whatever the rest of the name is.
found base.vmdk ./base.vmdk /vmfs/volumes/4d2c-18/vm/base.vmdk \
  'C:\VMs\disk\base.vmdk' '..\other\base.vmdk' '\\server\share\base.vmdk' \
  ../other/base.vmdk "$TMP/disk/base.vmdk"

# As written, in a folder below.
mkdir "$TMP/disk/sub"
mv "$TMP/disk/base.vmdk" "$TMP/disk/sub/"
for hint in sub/base.vmdk 'sub\base.vmdk' "$TMP/disk/sub/base.vmdk"; do
  rm -f "$IMAGE"
  mkvmdk --parent="$TMP/disk/sub/base.vmdk" --parent-model="$TMP/base.raw" \
    --parent-map="$TMP/base.map" --model="$MODEL" --map="$MAP" --seed=77 \
    --size=1M --hint="$hint" monolithicSparse "$IMAGE"
  check_image
done

# The file beside the child is another disk: its CID tells, and the search goes
# on.
mkvmdk --size=1M --seed=5 monolithicSparse "$TMP/disk/base.vmdk"
check_image

# The child's own name in another folder is not the child.
rm -f "$TMP/disk/base.vmdk" "$IMAGE"
mv "$TMP/disk/sub/base.vmdk" "$TMP/disk/sub/disk.vmdk"
mkvmdk --parent="$TMP/disk/sub/disk.vmdk" --parent-model="$TMP/base.raw" \
  --parent-map="$TMP/base.map" --model="$MODEL" --map="$MAP" --seed=77 \
  --size=1M --hint=sub/disk.vmdk monolithicSparse "$IMAGE"
check_image

# Outside the folder of the child only if that is allowed.
rm -f "$IMAGE"
mkdir "$TMP/outside"
mv "$TMP/disk/sub/disk.vmdk" "$TMP/outside/base.vmdk"
for hint in ../outside/base.vmdk "$TMP/outside/base.vmdk"; do
  rm -f "$IMAGE"
  mkvmdk --parent="$TMP/outside/base.vmdk" --parent-model="$TMP/base.raw" \
    --parent-map="$TMP/base.map" --model="$MODEL" --map="$MAP" --seed=77 \
    --size=1M --hint="$hint" monolithicSparse "$IMAGE"
  refuses 'outside.*allow-dir=' vmdk "$IMAGE"
  check_image allow-dir="$TMP/outside"
  check_image allow-dir=/
  check_image parent="$TMP/outside/base.vmdk"
done

# Not found: the message names the parent and what can be done.
rm "$TMP/outside/base.vmdk"
refuses 'disk\.vmdk.*base\.vmdk.*parent=' vmdk "$IMAGE" allow-dir=/
