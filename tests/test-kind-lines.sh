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

# A mapping file that does not have the size of its LUN is not its content.
make_image custom --extents=VMFSRDM:2M,FLAT:1M
truncate -s 1M "$TMP"/disk/*rdm*.vmdk
refuses 'maps a LUN' vmdk "$IMAGE"
