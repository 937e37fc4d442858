#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Each vmdk_ line of --dump-plugin is described in the manual page, and each
# one described there is printed; the kinds in it are in the page's table.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"

pod=$top_srcdir/nbdkit-vmdk-plugin.pod

nbdkit vmdk --dump-plugin >"$TMP/dump"
cat "$TMP/dump"
grep '^name=vmdk$' "$TMP/dump"
grep '^magic_config_key=file$' "$TMP/dump"
grep '^max_thread_model=parallel$' "$TMP/dump"

sed -n 's/^\(vmdk_[a-z_]*\)=.*/\1/p' "$TMP/dump" | sort >"$TMP/printed"
sed -n 's/^=item C<\(vmdk_[a-z_]*\)=>.*/\1/p' "$pod" | sort >"$TMP/described"
[ -s "$TMP/printed" ]
diff -u "$TMP/printed" "$TMP/described"

grep -E '^vmdk_libdeflate=[0-9]+\.[0-9]+' "$TMP/dump"
sed -n 's/^vmdk_features=//p' "$TMP/dump" | tr , '\n' >"$TMP/features"
nbdkit vmdk --help >"$TMP/help"
while read -r feature; do
  grep -E "^$feature=|\.$feature" "$TMP/help"
done <"$TMP/features"
[ -s "$TMP/features" ]

sed -n 's/^vmdk_create=//p' "$TMP/dump" | tr , '\n' | sort >"$TMP/types"
sed -n '/^=head1 CREATING DISKS/,/^=head1/s/^ \([a-z]*-[a-z]*\)  .*/\1/p' \
  "$pod" | grep -v create-type | sort >"$TMP/table"
[ -s "$TMP/types" ]
diff -u "$TMP/types" "$TMP/table"

sed -n 's/^vmdk_read=//p' "$TMP/dump" | tr , '\n' | sort >"$TMP/kinds"
sed -n '/^=head1 KINDS OF DISK/,/^=head1/s/^ \([a-z][A-Za-z]*\)  .*/\1/p' \
  "$pod" | grep -v createType | sort >"$TMP/table"
[ -s "$TMP/kinds" ]
diff -u "$TMP/kinds" "$TMP/table"
