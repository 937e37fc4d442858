#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Encrypted connections, which nbdkit makes by itself.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

requires_nbdcopy
requires psktool --version
nbdkit --dump-config | grep -q '^tls=yes' || skip "nbdkit has no TLS"

make_image streamOptimized --size=8M
psktool -u alice -p "$TMP/keys.psk"
start_nbdkit -P "$TMP/pid" -U "$TMP/sock" --tls=require \
  --tls-psk="$TMP/keys.psk" -r vmdk "$IMAGE"
nbdcopy "nbds+unix://alice@/?socket=$TMP/sock&tls-psk-file=$TMP/keys.psk" \
  "$OUT"
cmp "$OUT" "$MODEL"
fails nbdinfo "nbd+unix:///?socket=$TMP/sock"
