#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# guestfish writes to a file system in a snapshot of ESX (COWD) whose parent is
# a stream; after a restart of the server the files are there, and
# virt-filesystems finds the file system.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/chain-functions.sh
. "$srcdir/chain-functions.sh"

requires_guestfish
requires debugfs -V
requires virt-filesystems --version

make_partitioned_disk "$TMP/raw"
make_base streamOptimized --from="$TMP/raw"
sha256sum "$TMP/disk/base.vmdk" >"$TMP/sum"
make_child vmfsSparse --size=16M --fill=empty

# serve: the socket is in $socket.
serve ()
{
  rm -f "$TMP/pid"
  socket=$TMP/sock.$RANDOM
  start_nbdkit -P "$TMP/pid" -U "$socket" vmdk "$IMAGE" "$@"
}

head -c 3000000 /dev/urandom >"$TMP/data"
serve
timeout 600 guestfish --format=raw -a "nbd://?socket=$socket" <<END
run
mount /dev/sda1 /
write /new.txt "written\n"
upload $TMP/data /data
write-append /hello.txt "And more.\n"
sync
umount /
END
stop_nbdkit "$TMP/pid"
sha256sum -c "$TMP/sum"

copy_out "$IMAGE" "$TMP/raw.out"
dd if="$TMP/raw.out" of="$TMP/partition" bs=1M skip=1 status=none
e2fsck -fn "$TMP/partition"
for file in new.txt hello.txt data; do
  debugfs -R "dump /$file $TMP/$file.out" "$TMP/partition"
done
[ "$(cat "$TMP/new.txt.out")" = written ]
[ "$(cat "$TMP/hello.txt.out")" = $'Hello from a file in a VMDK.\nAnd more.' ]
cmp "$TMP/data" "$TMP/data.out"

serve -r
timeout 600 virt-filesystems --format=raw -a "nbd://?socket=$socket" \
  --filesystems --long | tee "$TMP/out"
grep -E '^/dev/sda1 +filesystem +ext4 ' "$TMP/out"
