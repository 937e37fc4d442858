#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Names that may mean something else to somebody: only what they say, byte by
# byte, is opened.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/confine-functions.sh
. "$srcdir/confine-functions.sh"

missing ()
{
  name_extent "$1"
  refuses_fast 'No such file' vmdk "$disk"
}

# Nothing is expanded or decoded.
for name in DATA Data 'dat?' '*' '~/data' '$HOME/data' '`data`' '%64ata' \
  'data%00' 'data ' ' data' 'file:data' 'nbd://localhost/' 'json:{}' \
  'data|true' ';data' '-data'; do
  missing "$name"
done
for name in 'a b' 'a;b' 'a%20b' '$HOME' 'a?b' -r $'a\tb' 'nbd:x'; do
  cp "$DATA" "$TMP/in/$name"
  served "$name"
done

# Control characters are not text.
name_extent $'none\001\033[31m\177x'
refuses_fast 'disk.vmdk: not a VMDK' vmdk "$disk"
# A line ends a name, and so does a NUL the text.
name_extent $'data\n../out/data'
refuses_fast 'line 6' vmdk "$disk"
printf 'RW 8 FLAT "data\0/../../out/data" 0\n' >"$TMP/line"
(head -n 5 "$disk"; cat "$TMP/line") >"$TMP/text"
mv "$TMP/text" "$disk"
refuses_fast 'disk.vmdk' vmdk "$disk"

# A socket is none of the files that hold disks.
"$PYTHON" -c 'import socket, sys
socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$TMP/in/socket"
name_extent socket
refuses_fast 'is a socket' vmdk "$disk"

# Who can make a hard link in the folder is trusted with it: it cannot be told
# from the file.
ln "$TMP/out/data" "$TMP/in/hard"
served hard
