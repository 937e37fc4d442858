#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Each vmdk_ line of --dump-plugin is described in the manual page, and each
# one described there is printed; the kinds in it are in the page's table and in
# that of README.md, and can be written or not, as it says.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

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
sed -n '/^=item C<vmdk_features=>/,/^=item C<vmdk_lib/s/[BC]<\([a-z]*\)>/\n@\1\n/gp' \
  "$pod" | sed -n 's/^@//p' | sort -u >"$TMP/words"
diff -u <(sort "$TMP/features") "$TMP/words"

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
sed -n '/^| createType/,/^$/s/^| \(`[^|]*\) |.*/\1/p' "$top_srcdir/README.md" |
  grep -o '`[A-Za-z]*`' | tr -d '`' | sort >"$TMP/table"
diff -u "$TMP/kinds" "$TMP/table"

sed -n 's/^vmdk_write=//p' "$TMP/dump" | tr , '\n' | sort >"$TMP/written"
[ -z "$(comm -13 "$TMP/kinds" "$TMP/written")" ]
grep -vxE 'custom|vmfsRaw|.*RawDeviceMap|.*Device' "$TMP/kinds" >"$TMP/made"
[ "$(wc -l <"$TMP/made")" = 8 ]
while read -r kind; do
  make_image "$kind" --size=1M
  if grep -qx "$kind" "$TMP/written"; then
    # shellcheck disable=SC2016
    nbdkit -U - vmdk "$IMAGE" --run 'nbdsh -u "$uri" -c "h.pwrite(h.pread(512, 0), 0)"'
  else
    # shellcheck disable=SC2016
    nbdkit -U - vmdk "$IMAGE" --run 'nbdinfo --is read-only "$uri"'
  fi
done <"$TMP/made"
