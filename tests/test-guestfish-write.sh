#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# guestfish writes to a file system in a snapshot of ESX (COWD) whose parent is
# a stream, reads it again after a restart of the server, and virt-filesystems
# finds the file system.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/chain-functions.sh
. "$srcdir/chain-functions.sh"

requires_guestfish
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

serve -r
timeout 600 guestfish --ro --format=raw -a "nbd://?socket=$socket" <<END
run
mount-ro /dev/sda1 /
download /new.txt $TMP/new.txt
download /hello.txt $TMP/hello.txt
download /data $TMP/data.out
umount /
e2fsck /dev/sda1 forceall:true
END
[ "$(cat "$TMP/new.txt")" = written ]
[ "$(cat "$TMP/hello.txt")" = $'Hello from a file in a VMDK.\nAnd more.' ]
cmp "$TMP/data" "$TMP/data.out"

timeout 600 virt-filesystems --format=raw -a "nbd://?socket=$socket" \
  --filesystems --long | tee "$TMP/out"
grep -E '^/dev/sda1 +filesystem +ext4 ' "$TMP/out"
