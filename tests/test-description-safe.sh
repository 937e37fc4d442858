#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# What an image says of itself reaches the terminal of a client only if it is
# plain.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

for type in $'\e]0;title\a' $'\xc2\x9b31m' $'\xff\xfe' '' "$(printf %0100d 1)"
do
  make_image monolithicSparse --size=1M
  "$PYTHON" - "$IMAGE" "$type" <<'END'
import os, sys
with open(sys.argv[1], "r+b") as f:
    f.seek(512)
    text = f.read(20 * 512).rstrip(b"\0")
    new = text.replace(b'"monolithicSparse"',
                       b'"' + os.fsencode(sys.argv[2]) + b'"')
    assert new != text
    f.seek(512)
    f.write(new.ljust(20 * 512, b"\0"))
END
  # shellcheck disable=SC2016
  serve_and "$IMAGE" 'nbdinfo "$uri"' >"$OUT"
  grep -a 'description:' "$OUT"
  grep -a 'description: VMDK of unknown type, 1 extent, grains' "$OUT"
done

# Why a disk is read-only has names of files in it, which may have any bytes.
make_image streamOptimized --size=1M
name=$TMP/disk/$(printf 'Gr\366\337e').vmdk
mv "$IMAGE" "$name"
# shellcheck disable=SC2016
nbdkit -U - vmdk "$name" --run 'nbdinfo --json "$uri"' >"$OUT"
"$PYTHON" - "$OUT" <<'END'
import json, sys
with open(sys.argv[1], encoding="utf-8") as f:
    description = json.load(f)["exports"][0]["description"]
assert "; Gr??e.vmdk: is read-only because" in description, description
END
