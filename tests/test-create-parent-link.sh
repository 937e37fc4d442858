#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A parent that is named by a symbolic link is what the link leads to, while
# the child is made and later, although files of the names in it are beside the
# link too.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

for folder in a b; do
  mkdir "$TMP/$folder"
  nbdkit -U - vmdk "$TMP/$folder/desc.vmdk" create=true create-size=1M \
    create-type=monolithic-flat --run true
  head -c 1M /dev/zero | tr '\0' $folder >"$TMP/$folder/desc-flat.vmdk"
done
ln -s ../b/desc.vmdk "$TMP/a/link.vmdk"
export CREATED="$TMP/created.raw"
# shellcheck disable=SC2016
nbdkit -U - vmdk "$TMP/child.vmdk" create=true \
  create-parent="$TMP/a/link.vmdk" --run 'nbdcopy "$uri" "$CREATED"'
copy_out "$TMP/child.vmdk" "$TMP/opened.raw"
cmp "$CREATED" "$TMP/b/desc-flat.vmdk"
cmp "$TMP/opened.raw" "$TMP/b/desc-flat.vmdk"

# So it is where the child names a link, or one that leads to another.
mv "$TMP/b/desc.vmdk" "$TMP/b/moved.vmdk"
ln -s ../b/moved.vmdk "$TMP/a/above.vmdk"
ln -s ../a/above.vmdk "$TMP/b/desc.vmdk"
copy_out "$TMP/child.vmdk" "$TMP/opened.raw"
cmp "$TMP/opened.raw" "$TMP/b/desc-flat.vmdk"
rm "$TMP/b/desc.vmdk"
mv "$TMP/b/moved.vmdk" "$TMP/a/moved.vmdk"
ln -s ../a/moved.vmdk "$TMP/b/desc.vmdk"
copy_out "$TMP/child.vmdk" "$TMP/opened.raw"
cmp "$TMP/opened.raw" "$TMP/a/desc-flat.vmdk"

# What the user names is taken in the folder of the link.
ln -sf ../a/moved.vmdk "$TMP/b/link.vmdk"
copy_out "$TMP/b/link.vmdk" "$TMP/opened.raw"
cmp "$TMP/opened.raw" "$TMP/b/desc-flat.vmdk"
