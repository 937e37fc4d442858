#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Names of extents in UTF-8 and in other encodings.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

# Names with blanks, and what a shell would take for something else.
for name in "My disk" " disk" "a  b" "it's" 'x$y' 'a;b&c' '100%' '%s%n' \
  "-x" "=x" "Größe" "ディスク" "磁盘" "диск" "💾"; do
  try twoGbMaxExtentFlat --size=30s --extent-size=10s --name="$name"
  try twoGbMaxExtentSparse --size=300s --extent-size=100s --name="$name"
done

# The files' names are in UTF-8, as they are after a copy from Windows.
try twoGbMaxExtentFlat --size=30s --extent-size=10s --name="Größe €" \
  --encoding=windows-1252
LC_ALL=C grep -q 'Gr\xf6\xdfe \x80' -aP "$IMAGE"
try twoGbMaxExtentSparse --size=30s --extent-size=10s --name="磁碟" \
  --encoding=Big5
try twoGbMaxExtentFlat --size=30s --extent-size=10s --name="磁盘" \
  --encoding=GBK
try twoGbMaxExtentFlat --size=30s --extent-size=10s --name="ディスク" \
  --encoding=Shift_JIS
# In Shift_JIS the second byte of this one is a backslash.
try twoGbMaxExtentFlat --size=30s --extent-size=10s --name="ソ表" \
  --encoding=Shift_JIS
try twoGbMaxExtentFlat --size=30s --extent-size=10s --name="диск" \
  --encoding=KOI8-R

# The files' names have the very bytes of the descriptor.
make_image monolithicFlat --size=30s --name="Größe" --encoding=windows-1252
mv "$TMP/disk/Größe-flat.vmdk" "$TMP/disk/$(printf 'Gr\366\337e-flat.vmdk')"
check_image

# The encoding is unknown, or a wrong one, and the bytes are right.
make_image monolithicFlat --size=30s --name="Größe"
sed -i 's/encoding="UTF-8"/encoding="x-nobody-knows"/' "$IMAGE"
check_image
sed -i 's/encoding="x-nobody-knows"/encoding="windows-1252"/' "$IMAGE"
check_image

# No encoding is named, and the name is in UTF-8.
sed -i '/encoding=/d' "$IMAGE"
check_image
