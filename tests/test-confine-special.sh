#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Extents that are no regular files.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/confine-functions.sh
. "$srcdir/confine-functions.sh"

for parameter in cache-size=64M allow-dir=/; do
  mkfifo "$TMP/in/fifo"
  name_extent fifo
  refuses_fast 'fifo: is a FIFO' vmdk "$disk" $parameter
  rm "$TMP/in/fifo"
  "$PYTHON" -c 'import socket, sys
socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$TMP/in/socket"
  name_extent socket
  refuses_fast 'socket: is a socket' vmdk "$disk" $parameter
  rm "$TMP/in/socket"
  for name in sub .; do
    name_extent $name
    refuses_fast 'is a folder' vmdk "$disk" $parameter
  done
  for name in /dev/zero /dev/null; do
    name_extent $name
    refuses_fast "$name: (is a character device|lies outside)" \
      vmdk "$disk" $parameter
  done
  ln -s /dev/zero "$TMP/in/zero"
  name_extent zero
  refuses_fast 'zero: (is a character device|lies outside)' \
    vmdk "$disk" $parameter
  rm "$TMP/in/zero"
done

# What stands for an open file of the server, or of whoever started it.
exec 7<"$TMP/out/data"
for name in /proc/self/fd/7 /dev/fd/7 /proc/thread-self/fd/7 \
  /proc/self/cwd/out/data /proc/self/root/etc/passwd /dev/stdin; do
  name_extent $name
  refuses_fast '(allow-dir|is a|No such)' vmdk "$disk"
done
ln -s /proc/self/fd/7 "$TMP/in/fd"
denied fd
ln -s /proc/self/fd "$TMP/in/fds"
denied fds/7
ln -s /proc/self/root "$TMP/in/root"
denied root/etc/passwd
exec 7<&-
