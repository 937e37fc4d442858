# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# shellcheck shell=bash

# For tests of unbuffered=true.  Source it behind functions.sh.  A test begins
# anew below $builddir if the file system of $TMP does not have O_DIRECT.

# has_direct FOLDER: in memory it would mean nothing.
has_direct ()
{
  [ "$(stat -f -c %T "$1")" != tmpfs ] &&
    dd if=/dev/zero of="$1/direct" bs=4096 count=1 oflag=direct \
      status=none &&
    rm "$1/direct"
}

if ! has_direct "$TMP"; then
  [ "${TMPDIR:-}" != "$builddir" ] || skip "no file system with O_DIRECT"
  rm -rf "$TMP"
  TMPDIR=$builddir exec "$BASH" "$0"
fi
