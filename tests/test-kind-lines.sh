#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Extent lines with and without a file, of every type and access word, at the
# start, in the middle and at the end.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

try custom --extents=ZERO:1M,FLAT:2M,ZERO:3M,SPARSE:4M,ZERO:777s
try custom --extents=FLAT/RDONLY:1M,SPARSE/RDONLY:3M,VMFS:2M,ZERO:1s,FLAT:1s
try custom --extents=VMFSRAW:1M,ZERO:1M,VMFSRDM:2M
try custom --extents=SESPARSE:5M,VMFSSPARSE:5M,SPARSE:5M,FLAT:5M,VMFS:5M,ZERO:5M
for list in NOACCESS FLAT/NOACCESS; do
  case $list in
    NOACCESS) list=FLAT:1M,FLAT/NOACCESS:64s,SPARSE:2M ;;
    *) list=FLAT/NOACCESS:1s,SPARSE:2M,SPARSE/NOACCESS:1M ;;
  esac
  make_image custom --extents=$list
  # shellcheck disable=SC2016
  serve_and "$IMAGE" '"$PYTHON" "$srcdir/check-reads.py" "$uri" "$MODEL" "$MAP"'
done

# A mapping file that has the size of its LUN is taken for its content, which a
# warning says.
make_image custom --extents=VMFSRDM:2M,FLAT:1M
check_image
serve_and "$IMAGE" true 2>"$OUT.log"
grep 'warning: .*: maps a LUN' "$OUT.log"
# Once, whatever number of lines name one.
sed -i '/VMFSRDM/{p;p}' "$IMAGE"
serve_and "$IMAGE" true 2>"$OUT.log"
[ "$(grep -c 'maps a LUN' "$OUT.log")" = 1 ]
sed -i '0,/VMFSRDM/{//d};0,/VMFSRDM/{//d}' "$IMAGE"

# One that does not is not its content, and neither is one with nothing in it.
truncate -s 1M "$TMP"/disk/*rdm*.vmdk
refuses 'maps a LUN: it has 1048576 bytes' vmdk "$IMAGE"
truncate -s 0 "$TMP"/disk/*rdm*.vmdk
truncate -s 2M "$TMP"/disk/*rdm*.vmdk
find_out_about_holes
[ "$host_has_holes" = no ] ||
  refuses 'maps a LUN: nothing is stored in it' vmdk "$IMAGE"

# A device may be larger, and the extent begin somewhere in it.
make_image custom --extents=FLAT:1M,VMFSRAW:2M
raw=$(echo "$TMP"/disk/*raw*.vmdk)
{ head -c 512000 /dev/urandom; cat "$raw"; head -c 1000 /dev/zero; } >"$OUT.dev"
mv "$OUT.dev" "$raw"
LC_ALL=C sed -i '/VMFSRAW/s/$/ 1000/' "$IMAGE"
grep -a 'VMFSRAW ".*" 1000$' "$IMAGE"
# shellcheck disable=SC2016
serve_and "$IMAGE" 'nbdcopy "$uri" "$OUT.raw"' 2>"$OUT.log"
cmp "$OUT.raw" "$MODEL"
if grep LUN "$OUT.log"; then
  fail "a device was taken for something else"
fi
