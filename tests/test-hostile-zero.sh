#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A chain whose zeroes would take many minutes to find: eight million grains
# without a place, each in a table of its own, in each of 100 parents.  Zeroing
# its child may take so long, but others are served meanwhile, and the server ends
# when it is told to.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

IMAGE=$TMP/child.vmdk
"$PYTHON" - "$TMP" <<'END'
import struct, sys

folder = sys.argv[1]
LINKS = 100
SECTORS = 4 * 2**21 - 128
TABLE = 21 + -(-SECTORS * 4 // 512)     # the one that all entries name
END = TABLE + 1
with open(folder + "/grains", "wb") as f:
    f.write(struct.pack("<4sIIQQQQIQQQBcccc", b"KDMV", 1, 1, SECTORS, 1, 0, 0,
                        1, 0, 21, END, 0, b"\n", b" ", b"\r", b"\n"))
    f.seek(21 * 512)
    f.write(struct.pack("<I", TABLE) * SECTORS)
    f.truncate((END + 8) * 512)
for i in range(LINKS):
    last = i == LINKS - 1
    with open(f"{folder}/parent{i}.vmdk", "w") as f:
        f.write('# Disk DescriptorFile\nversion=1\nCID=00000001\n')
        f.write('createType="custom"\n')
        if last:
            f.write('parentCID=ffffffff\n')
        else:
            f.write('parentCID=00000001\n')
            f.write(f'parentFileNameHint="parent{i + 1}.vmdk"\n')
        f.write(f'RW {SECTORS} SPARSE "grains"\n')
END
nbdkit -U - vmdk "$IMAGE" create=true create-parent="$TMP/parent0.vmdk" \
  --run true

start_nbdkit -P "$TMP/pid" -U "$TMP/sock" vmdk "$IMAGE"
nbdsh -c "
h.connect_unix('$TMP/sock')
size = h.get_size()
h.pwrite(b'x' * 512, size - 512)        # which checks the tables
h.flush()
print('ready', flush=True)
h.zero(size - 65536, 0)" >"$TMP/zeroing" 2>&1 &
zeroing=$!
for ((i = 0; i < 600; i++)); do
  [ ! -s "$TMP/zeroing" ] || break
  sleep 0.1
done
sleep 1

# Others write, flush, read and ask for extents.
nbdsh -c "
h.add_meta_context('base:allocation')
h.connect_unix('$TMP/sock')
size = h.get_size()
h.pwrite(b'y' * 512, size - 1024)
h.flush()
assert h.pread(1024, size - 1024) == b'y' * 512 + b'x' * 512
h.block_status(65536, size - 65536, lambda *args: 0)"
kill -0 $zeroing

stop_nbdkit "$TMP/pid"
wait $zeroing && fail "zeroing took no time"
cat "$TMP/zeroing"

# Nothing was lost.
nbdkit -U - vmdk "$IMAGE" --run "nbdsh -u \"\$uri\" -c '
size = h.get_size()
assert h.pread(1024, size - 1024) == b\"y\" * 512 + b\"x\" * 512
h.pwrite(bytes(512), 0)
h.flush()'"
