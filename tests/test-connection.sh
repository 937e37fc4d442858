#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# What a client of nbdkit -r learns when it connects: size, description, block
# sizes, and that the disk is read-only.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

cat >"$TMP/check.py" <<'END'
import errno, os, sys
import nbd

with open(os.environ["MODEL"], "rb") as f:
    model = f.read()
h = nbd.NBD()
h.add_meta_context("base:allocation")
h.set_full_info(True)
h.connect_uri(sys.argv[1])
assert h.get_size() == len(model)
assert h.is_read_only()
assert h.can_multi_conn()
assert h.can_cache()
assert h.can_meta_context("base:allocation")
assert not h.can_zero() and not h.can_trim() and not h.can_fua()
print(h.get_export_description())
assert sys.argv[2] in h.get_export_description()
assert h.get_block_size(nbd.SIZE_MINIMUM) == 1
preferred = h.get_block_size(nbd.SIZE_PREFERRED)
assert preferred == int(sys.argv[3]), preferred
assert h.get_block_size(nbd.SIZE_MAXIMUM) >= 32 * 1024 * 1024

# A hint, which changes nothing.
h.cache(len(model), 0)
h.cache(1, 12345)
assert h.pread(1, 12345) == model[12345:12346]
# The most that nbdkit allows in one request, or all.
length = min(len(model), 64 * 1024 * 1024)
assert h.pread(length, 0) == model[:length]

# libnbd would not send these, so it must be told to.
h.set_strict_mode(0)
for command in (lambda: h.pwrite(b"x" * 512, 0), lambda: h.zero(512, 0),
                lambda: h.trim(512, 0),
                lambda: h.pwrite(b"x" * 512, 0, nbd.CMD_FLAG_FUA)):
    try:
        command()
        sys.exit("a write was not refused")
    except nbd.Error as e:
        assert e.errnum in (errno.EPERM, errno.EINVAL), e
# Nor can anything be read outside.
for offset, length in ((len(model), 1), (len(model) - 1, 2), (2**63 - 1, 1)):
    try:
        h.pread(length, offset)
        sys.exit("something was read behind the end")
    except nbd.Error as e:
        assert e.errnum == errno.EINVAL, e
assert h.pread(512, 0) == model[:512]
h.shutdown()
END

# check DESCRIPTION PREFERRED-BLOCK-SIZE
check ()
{
  local before

  before=$(cat "$TMP"/disk/* | cksum)
  # shellcheck disable=SC2016
  WORDS=$1 SIZE=$2 nbdkit -r -U - vmdk "$IMAGE" --run \
    '"$PYTHON" "$TMP_CHECK" "$uri" "$WORDS" "$SIZE"'
  [ "$(cat "$TMP"/disk/* | cksum)" = "$before" ]
}
export TMP_CHECK="$TMP/check.py" PYTHON

make_image monolithicSparse --size=150001s
check monolithicSparse 65536
make_image twoGbMaxExtentSparse --size=5M --extent-size=1M --grain=1
check "twoGbMaxExtentSparse, 5 extents" 4096
make_image monolithicSparse --size=70M --grain=65536
check monolithicSparse 1048576
make_image monolithicFlat --size=5M
check "monolithicFlat, 1 extent" 65536
make_image vmfs --size=12345s
check "vmfs, 1 extent" 65536
