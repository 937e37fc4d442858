#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# What cannot be written is served read-only without -r, too; the log and the
# description of the export say why; no file changes; and nbdkit's cow filter
# makes it writable.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/chain-functions.sh
. "$srcdir/chain-functions.sh"

requires_filter cow
export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1

# state: names, content and sizes of the disk's files.
state ()
{
  (cd "$TMP/disk" && sha256sum -- *)
}

# check REASON [PARAMETER...]
check ()
{
  local before after

  before=$(state)
  "$PYTHON" - "$@" <<'END'
import errno
import os
import sys
from writing import Model, Server, fails

reason, parameters = sys.argv[1], sys.argv[2:]
model = Model.load()
server = Server(os.environ["IMAGE"], *parameters)
h = server.connect()
print(h.get_export_description())
assert h.is_read_only()
assert "is read-only" in h.get_export_description()
assert reason in h.get_export_description(), h.get_export_description()
model.check(h)
h.set_strict_mode(0)
fails(errno.EPERM, h.pwrite, b"x" * 512, 0)
fails(errno.EPERM, h.zero, 512, 0)
model.check(h)
h.shutdown()
# It is said once, not for each client.
server.connect().shutdown()
server.stop()
lines = [line for line in server.messages().splitlines() if reason in line]
assert len(lines) == 1 and "served read-only: " in lines[0], lines

# Who does not want to write need not be told.
server = Server(os.environ["IMAGE"], *parameters, options=["-r"])
h = server.connect()
assert "read-only" not in h.get_export_description()
model.check(h)
h.shutdown()
server.stop()
assert reason not in server.messages(), server.messages()

server = Server(os.environ["IMAGE"], *parameters,
                options=["--filter=cow"])
h = server.connect()
assert not h.is_read_only()
model.write(h, 70000, 12345)
h.flush()
model.check(h)
h.shutdown()
server.stop()
END
  after=$(state)
  [ "$after" = "$before" ] || fail "a file has changed"
}

make_image streamOptimized --size=3M
check "is RDONLY"
LC_ALL=C sed -i 's/^RDONLY/RW    /' "$IMAGE"
check "a finished stream cannot be changed"
make_image seSparse --size=3M
check "seSparse disks are only read"
make_image custom --extents=SPARSE:1M,FLAT/RDONLY:1M
check "is RDONLY"
make_image custom --extents=SPARSE/RDONLY:1M,FLAT:1M
check "line 9 of the descriptor is RDONLY"
make_image vmfsSparse --old-cowd --size=3M
check "the old Workstation format"
make_image monolithicSparse --gtes=64 --size=3M
check "its grain tables have an unusual size"
for damage in gd-past-file-rgd-whole rgd-past-file; do
  make_image monolithicSparse --size=3M --damage=$damage
  check "one of its two grain directories is not usable"
done
make_image vmfsSparse --size=3M --bare
check "without its descriptor"
for kind in monolithicSparse vmfsSparse; do
  make_base monolithicFlat --size=3M
  make_child $kind --size=3M
  # The model of the child alone.
  copy_out "$IMAGE" "$MODEL" single-link=true
  check "without its parent" single-link=true
done

# A descriptor that must be replaced, and cannot be.
make_image monolithicFlat --size=3M
sed -i 's/^CID=.*/CID=1/' "$IMAGE"
ln "$IMAGE" "$TMP/other-name"
check "has other names, too (hard links)"

# A file that may not be written.  Nothing keeps root from that but a mount.
read_only_file ()
{
  if [ "$(id -u)" -ne 0 ]; then
    chmod a-w "$1"
    check "writing to ${1##*/} is not permitted"
    chmod u+w "$1"
  elif unshare -m true; then
    export -f check state fail
    # shellcheck disable=SC2016
    TMP=$TMP unshare -m bash -eux -c '
      mount --bind "$1" "$1"
      mount -o remount,bind,ro "$1"
      check "$2"' - "$1" "writing to ${1##*/} is not permitted"
  else
    echo "not tested: root may write any file here, and may not mount"
  fi
}

make_image monolithicSparse --size=3M
read_only_file "$IMAGE"
make_image twoGbMaxExtentSparse --size=3M --extent-size=1M
read_only_file "$TMP/disk/disk-s002.vmdk"
make_image monolithicFlat --size=3M
read_only_file "$IMAGE"
