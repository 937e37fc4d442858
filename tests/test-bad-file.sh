#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# What cannot be a disk is refused, whatever it is.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

cd "$TMP"

refuses_fast 'missing.vmdk: No such file' vmdk missing.vmdk
refuses_fast 'nowhere/disk.vmdk: No such file' vmdk nowhere/disk.vmdk
refuses_fast '/nowhere/disk.vmdk: No such file' vmdk /nowhere/disk.vmdk

mkdir folder
refuses_fast 'folder is a folder; dir=' vmdk folder
refuses_fast 'folder/? is a folder; dir=' vmdk folder/
refuses_fast '=/ is a folder; dir=' vmdk /

mkfifo fifo
refuses_fast 'fifo: is a FIFO' vmdk fifo
ln -s fifo link-to-fifo
refuses_fast 'link-to-fifo: is a FIFO' vmdk link-to-fifo
ln -s loop loop
refuses_fast 'loop: Too many levels' vmdk loop
refuses_fast '/dev/zero: is a character device' vmdk /dev/zero
refuses_fast '/dev/null: is a character device' vmdk /dev/null

"$PYTHON" - <<'END'
import socket
socket.socket(socket.AF_UNIX).bind("sock")
END
refuses_fast 'sock: is a socket' vmdk sock

: >empty.vmdk
refuses_fast 'empty.vmdk: not a VMDK' vmdk empty.vmdk
printf 'K' >byte.vmdk
refuses_fast 'byte.vmdk: not a VMDK' vmdk byte.vmdk
printf 'KDMV' >magic.vmdk
refuses_fast 'magic.vmdk: ' vmdk magic.vmdk
truncate -s 10M zeroes.vmdk
refuses_fast 'zeroes.vmdk: not a VMDK' vmdk zeroes.vmdk
head -c 100000 "$(command -v bash)" >program
refuses_fast 'program: not a VMDK' vmdk program
printf 'some text\nand more\n' >text
refuses_fast 'text: not a VMDK' vmdk text
printf '# Disk DescriptorFile\n' >first-line
refuses_fast 'first-line: ' vmdk first-line
mkvmdk --size=1M monolithicSparse disk.vmdk
gzip -k disk.vmdk
refuses_fast 'disk.vmdk.gz: .*gzip' vmdk disk.vmdk.gz
tar -cf disk.ova disk.vmdk
refuses_fast 'disk.ova: an archive .*extract the disk' vmdk disk.ova
mkvmdk --size=1M monolithicFlat flat.vmdk
refuses_fast 'flat-flat.vmdk: not a VMDK' vmdk flat-flat.vmdk

# Random bytes, also behind the magic and behind a good first line.
for seed in 1 2 3 4 5; do
  "$PYTHON" -c 'import random, sys
random.seed(int(sys.argv[1]))
sys.stdout.buffer.write(random.randbytes(20000))' $seed >random
  refuses_fast 'random: not a VMDK' vmdk random
  { printf 'KDMV\1\0\0\0'; cat random; } >random-behind
  refuses_fast 'random-behind: ' vmdk random-behind
  { printf '# Disk DescriptorFile\nversion=1\n'; cat random; } >random-behind
  refuses_fast 'random-behind: ' vmdk random-behind
done
