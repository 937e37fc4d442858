#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Names of extents mean a file of exactly that name, whatever they look like.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/confine-functions.sh
. "$srcdir/confine-functions.sh"

head -c 4096 /dev/urandom >"$TMP/out/data"
cp "$TMP/out/data" "$TMP/out/only"

# missing NAME: there is no such file, and the message says so in one line.
missing ()
{
  name_extent "$1"
  refuses_fast 'No such file' vmdk "$disk"
}

# Not decoded, not expanded, not a format, not a URI, not a protocol.
# shellcheck disable=SC2016,SC2088
for name in '%2e%2e/out/data' '..%2fout%2fdata' '%s%n%n%n%d' '~/data' \
  '$TMP/out/data' '`id`' '$(id)' '*' 'd?ta' '{data,x}' 'data|cat' \
  "file://$TMP/out/data" 'nbd://localhost/x' "file:$TMP/out/data" \
  'json:{driver:file,filename:data}' 'fd:7' 'data ' ' data'; do
  missing "$name"
done
name_extent '%s%n%n%n%d'
refuses_fast '%s%n%n%n%d: No such file' vmdk "$disk"
# Unless there is a file of that name.
# shellcheck disable=SC2016
for name in '%2e%2e' '%s%n' '~' '$TMP' '*' 'data ' 'nbd:x' '-'; do
  cp "$DATA" "$TMP/in/$name"
  served "$name"
  rm "$TMP/in/$name"
done

# Upper and lower case are different, where the file system says so.
[ -e "$TMP/in/DATA" ] || missing DATA

# With separators of Windows the folder part may be meant for another host,
# and what is beside the disk counts, unless there is what the name says.
head -c 4096 /dev/urandom >"$TMP/in/sub/data"
for name in '..\out\data' 'C:\out\data' '\\?\C:\data' '\\server\out\data' \
  'gone\data'; do
  served "$name"
done
DATA="$TMP/in/sub/data" served 'sub\data'
mkdir "$TMP/in/folder" "$TMP/in/folder/data"
name_extent 'folder\data'
refuses_fast 'folder/data: is a folder' vmdk "$disk"
served "C:\\$(printf 'x%.0s' {1..300})\\data"
# What only another folder has is not found there.
for name in '..\out\only' 'sub\..\..\out\only' '..\..\etc\passwd' \
  '\etc\passwd'; do
  name_extent "$name"
  refuses_fast '(allow-dir|No such file)' vmdk "$disk"
done

# A control character ends no name early, and none comes out in a message.
for char in '\0' '\n' '\r' '\t' '\033[2J' '\302\205'; do
  for name in 'data@' '../out/data@'; do
    name_extent "$name"
    "$PYTHON" - "$disk" "$char" <<'END'
import sys
path, char = sys.argv[1:]
char = char.encode().decode("unicode_escape").encode("latin-1")
with open(path, "rb") as f:
    text = f.read()
with open(path, "wb") as f:
    f.write(text.replace(b"@", char))
END
    refuses_fast . vmdk "$disk"
    ! LC_ALL=C grep '[[:cntrl:]]' "$TMP/refuses.msg" ||
      fail "there is a control character in the message"
  done
done

# Nor is such a file opened, if it is there and the text does not show it before
# its first 10 KiB have been read.
for char in $'\t' $'\001' $'\177'; do
  cp "$TMP/in/data" "$TMP/in/data$char"
  name_extent "data$char"
  refuses_fast 'control characters|not a VMDK' vmdk "$disk"
  {
    echo '# Disk DescriptorFile'
    printf '#%.0s\n' {1..6000}
    tail -n +2 "$disk"
  } >"$disk.new"
  mv "$disk.new" "$disk"
  refuses_fast 'control characters' vmdk "$disk"
  rm "$TMP/in/data$char"
done

# Long ones, of which the end is told.
long=$(printf 'x%.0s' {1..255})
missing "$long"
name_extent "${long}y"
refuses_fast 'File name too long' vmdk "$disk"
deep=$(printf '../%.0s' {1..1000})etc/passwd
denied "$deep"
