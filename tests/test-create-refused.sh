#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# What cannot be created is refused in one sentence, nothing is left behind, and
# what exists stays as it is.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

folder=$TMP/disk
new=$folder/new.vmdk
mkdir "$folder"

# refused PATTERN PARAMETER...
refused ()
{
  local left

  refuses "$1" vmdk "${@:2}"
  left=$(ls -A "$folder")
  [ -z "$left" ] || fail "left: $left"
}

create=("$new" create=true)
refused 'create=true needs create-size=' "${create[@]}"
refused 'create-size=0: .* at least one sector' "${create[@]}" create-size=0
refused 'not a multiple of 512' "${create[@]}" create-size=1000
refused 'at most 2199023255552' "${create[@]}" create-size=3T
refused 'at most 2199023255040' "${create[@]}" create-size=2T \
  create-type=vmfs-sparse
refused 'at most 8796093022208' "${create[@]}" create-size=9T \
  create-type=split-flat
refused "'raw' cannot be created; known are monolithic-sparse, .*vmfs-sparse" \
  "${create[@]}" create-size=1M create-type=raw
refused "adapter type 'nvme' is not known; known are ide" "${create[@]}" \
  create-size=1M create-adapter-type=nvme
refused "hardware version 'x' is not known" "${create[@]}" \
  create-size=1M create-hwversion=x
refused 'create-compress-level' "${create[@]}" create-size=1M \
  create-compress-level=13
refused 'is not compressed' "${create[@]}" create-size=1M \
  create-compress-level=3
refused 'create-size= needs create=true' "$new" create-size=1M
refused 'create-type= needs create=true' "$new" create-type=vmfs-flat
refused 'use create-parent=' "${create[@]}" create-size=1M \
  parent="$TMP/x.vmdk"
refused 'single-link=true contradict' "${create[@]}" create-size=1M \
  single-link=true
refused 'quote or a control character' "$folder/a\"b.vmdk" create=true \
  create-size=1M
refused 'quote or a control character' "$folder/a"$'\n'"b.vmdk" create=true \
  create-size=1M
refused 'not UTF-8' "$folder/a"$'\xfc'"b.vmdk" create=true create-size=1M
refused 'No such file' "$folder/missing/a.vmdk" create=true create-size=1M
for type in monolithic-sparse monolithic-flat split-sparse; do
  refused 'names a folder, not a disk' "$folder/" create=true \
    create-size=1M create-type=$type
done

# Of such a name 4098 extent lines are more than a descriptor can have, which
# must be known before as many files are made.
long=$(printf 'n%.0s' {1..240})
refused 'the descriptor would have [0-9]* bytes.* at most 1048575; .* shorter' \
  "$folder/$long.vmdk" create=true create-size=8T create-type=split-flat
# It is: else the file that is in the way would be found first.
echo precious >"$folder/$long-f001.vmdk"
refuses 'the descriptor would have' vmdk "$folder/$long.vmdk" create=true \
  create-size=8T create-type=split-flat
[ "$(ls -A "$folder")" = "$long-f001.vmdk" ]
rm "$folder/$long-f001.vmdk"

# Parents.
refused 'No such file' "${create[@]}" create-parent="$TMP/missing.vmdk"
mkvmdk --size=1M monolithicSparse "$TMP/base.vmdk"
refused 'size of a child must be that of its parent.*1048576' "${create[@]}" \
  create-parent="$TMP/base.vmdk" create-size=2M
for kind in monolithic-flat vmfs-flat split-flat stream-optimized; do
  refused "type $kind cannot have a parent" "${create[@]}" \
    create-parent="$TMP/base.vmdk" create-type=$kind
done
cp "$TMP/base.vmdk" "$TMP/none.vmdk"
sed -i 's/^CID=......../CID=ffffffff/' "$TMP/none.vmdk"
refused 'none.vmdk: .*CID ffffffff' "${create[@]}" \
  create-parent="$TMP/none.vmdk"
cp "$TMP/base.vmdk" "$TMP/a\"b.vmdk"
refused 'the parent has a quote' "${create[@]}" \
  create-parent="$TMP/a\"b.vmdk"
echo nonsense >"$TMP/text.vmdk"
refused 'text.vmdk' "${create[@]}" create-parent="$TMP/text.vmdk"

# What exists.
echo precious >"$new"
refuses 'new.vmdk: exists already' vmdk "${create[@]}" create-size=1M
[ "$(cat "$new")" = precious ]
rm "$new"
ln -s nowhere "$new"
refuses 'new.vmdk: exists already' vmdk "${create[@]}" create-size=1M
[ "$(ls -A "$folder")" = new.vmdk ]
rm "$new"
echo precious >"$folder/new-flat.vmdk"
refuses 'new-flat.vmdk: exists already' vmdk "${create[@]}" create-size=1M \
  create-type=monolithic-flat
[ "$(ls -A "$folder")" = new-flat.vmdk ]
[ "$(cat "$folder/new-flat.vmdk")" = precious ]
