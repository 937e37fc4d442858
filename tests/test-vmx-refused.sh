#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A file X.vmx that is none, or has no disks, is refused; and what cannot be
# given with one.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/dir-functions.sh
. "$srcdir/dir-functions.sh"

vmx=$DIR/guest.vmx
refuses 'guest.vmx: No such file' vmdk "$vmx"
: >"$vmx"
refuses 'guest.vmx: not the configuration of a virtual machine' vmdk "$vmx"
make_disk disk monolithicSparse
cp "$DIR/disk.vmdk" "$vmx"
refuses 'guest.vmx: ' vmdk "$vmx"
echo 'memsize = "512"' >"$vmx"
refuses 'guest.vmx: the virtual machine has no disks' vmdk "$vmx"
head -c 1048577 /dev/zero | tr '\0' '\n' >"$vmx"
refuses 'guest.vmx: a configuration of 1048577 bytes is too large' vmdk "$vmx"
rm "$vmx"
mkfifo "$vmx"
refuses 'guest.vmx: is a FIFO' vmdk "$vmx"

rm "$vmx"
printf 'scsi0:0.present = "TRUE"\nscsi0:0.fileName = "disk.vmdk"\n' >"$vmx"
refuses 'file=X.vmx and parent= contradict' vmdk "$vmx" \
  parent="$DIR/disk.vmdk"
refuses 'file=X.vmx and create=true contradict' vmdk "$vmx" create=true \
  create-size=1M
lists file="$vmx" disk.vmdk

# Another name, and it is a disk, and not a good one.
mv "$vmx" "$DIR/guest.txt"
refuses 'guest.txt: not a VMDK' vmdk "$DIR/guest.txt"
