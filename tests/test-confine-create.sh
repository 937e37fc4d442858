#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# What is created lies in the folder that the user named, whatever links and
# folders somebody puts there.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/confine-functions.sh
. "$srcdir/confine-functions.sh"

new=$TMP/in/new.vmdk
create=("$new" create=true create-size=1M)

nothing_outside ()
{
  [ "$(ls -A "$TMP/out")" = data ] || fail "this is outside: $(ls -A "$TMP/out")"
  cmp "$TMP/out/data" "$DATA"
}

# Links in the place of a file that is to be made, to nothing and to a file.
for target in nothing data; do
  for name in new.vmdk new-flat.vmdk new-f001.vmdk new-s001.vmdk \
    new-delta.vmdk; do
    case $name in
      new.vmdk) types='monolithic-sparse split-flat stream-optimized' ;;
      new-flat.vmdk) types='monolithic-flat vmfs-thin' ;;
      new-f001.vmdk) types=split-flat ;;
      new-s001.vmdk) types=split-sparse ;;
      new-delta.vmdk) types=vmfs-sparse ;;
    esac
    ln -s ../out/$target "$TMP/in/$name"
    for type in $types; do
      refuses "$name: .*exists" vmdk "${create[@]}" create-type="$type"
      nothing_outside
    done
    rm "$TMP/in/$name"
    [ "$(ls -A "$TMP/in")" = "data"$'\n'"sub" ]
  done
done

# A parent that names what lies outside is one of no disk.
name_extent ../out/data
refuses 'out/data: .*allow-dir' vmdk "$new" create=true create-parent="$disk"
nothing_outside
name_parent ../out/nothing
refuses 'out/nothing: .*allow-dir' vmdk "$new" create=true \
  create-parent="$disk"
nothing_outside
rm "$TMP/in/empty" "$disk"
[ "$(ls -A "$TMP/in")" = "data"$'\n'"sub" ]

# A link comes while a stream is written: it stays, and leads to nothing.
export NEW=$new
# shellcheck disable=SC2016
nbdkit -U - vmdk "${create[@]}" create-type=stream-optimized --run '
  ln -s ../out/nothing "$NEW"
  nbdsh -u "$uri" -c "h.pwrite(b\"x\" * 65536, 0)"' 2>"$OUT.err"
cat "$OUT.err"
grep 'new.vmdk.*exists' "$OUT.err"
nothing_outside
[ -L "$new" ]
rm "$new"

# The folder is moved away, and its name leads elsewhere: the stream, and what it
# spills, stay where they are.
export FOLDER="$TMP/in"
# shellcheck disable=SC2016
nbdkit -U - vmdk "${create[@]}" create-type=stream-optimized cache-size=1M \
  --run '
  mv "$FOLDER" "$FOLDER.moved" && ln -s out "$FOLDER" &&
  nbdsh -u "$uri" -c "for i in range(15, -1, -1):
    h.pwrite(b\"x\" * 65536, i * 65536)"'
nothing_outside
[ -s "$TMP/in.moved/new.vmdk" ]
rm "$TMP/in" "$TMP/in.moved/new.vmdk"
mv "$TMP/in.moved" "$TMP/in"

# So does a descriptor that is replaced because its CID becomes longer.
name_extent data
sed -i 's/^CID=.*/CID=1/' "$disk"
cp "$disk" "$TMP/out/disk.vmdk"
cp "$disk" "$TMP/before"
# shellcheck disable=SC2016
nbdkit -U - vmdk "$disk" --run '
  mv "$FOLDER" "$FOLDER.moved" && ln -s out "$FOLDER" &&
  nbdsh -u "$uri" -c "h.pwrite(b\"x\" * 512, 0)"' 2>&1 | tee "$OUT.err"
cmp "$TMP/out/disk.vmdk" "$TMP/before"
cmp "$TMP/out/data" "$DATA"
grep -E '^CID=[0-9a-f]{8}' "$TMP/in.moved/disk.vmdk"
[ "$(ls -A "$TMP/in.moved")" = data$'\n'disk.vmdk$'\n'sub ]
