#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A NOACCESS range is in the disk, cannot be read, and disturbs nothing else.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

for type in FLAT:64K SPARSE:64K:16 ZERO:64K; do
  make_image custom \
    --extents="FLAT:64K,${type%%:*}/NOACCESS:${type#*:},SPARSE:64K:8"
  # shellcheck disable=SC2016
  serve_and "$IMAGE" 'nbdinfo --map "$uri" >"$OUT.map" &&
    nbdsh -u "$uri" -c - <<END
import errno, os
k = 65536
model = open(os.environ["MODEL"], "rb").read()
assert h.get_size() == 3 * k == len(model)
for offset, length in (k, k), (k, 1), (2 * k - 1, 1), (k - 1, 2), (0, 3 * k), \
    (2 * k - 1, 2):
    try:
        h.pread(length, offset)
        assert False, (offset, length)
    except nbd.Error as e:
        assert e.errnum == errno.EIO, e
assert h.pread(k, 0) == model[:k]
assert h.pread(k, 2 * k) == model[2 * k:]
END'
  compare_maps
done
