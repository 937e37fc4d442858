#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# nbdkit -D vmdk.X=1: the flags in the manual page are those that there are, and
# each traces what it says, if -v is given.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

requires nm --version
nm -D --defined-only "$top_builddir/plugin/.libs/nbdkit-vmdk-plugin.so" |
  sed -n 's/.* B vmdk_debug_/vmdk./p' | sort >"$TMP/flags"
sed -n 's/^=item B<-D >C<\(vmdk\..*\)=1>$/\1/p' \
  "$top_srcdir/nbdkit-vmdk-plugin.pod" >"$TMP/documented"
diff -u "$TMP/documented" "$TMP/flags"
[ -s "$TMP/flags" ]

# trace LOG OPTION...: what the log has of us while a disk is written.
trace ()
{
  local log=$1

  shift
  make_image monolithicSparse --size=8M
  # shellcheck disable=SC2016
  nbdkit -U - "$@" vmdk "$IMAGE" --run 'nbdsh -u "$uri" -c "
for i in range(3):
    h.pwrite(b\"x\" * 8388608, 0)
    h.flush()
    h.zero(65536, 65536 * (i + 1))
"' 2>"$log.all"
  sed -nE 's/^nbdkit: (vmdk[^:]*: )?debug: //p' "$log.all" >"$log"
}

FILES='^link 0: disk.vmdk: monolithicSparse, 8388608 bytes, 1 extents, 1 files$
^link 0: file 0: disk.vmdk, [0-9]+ bytes, writable$
^link 0: extent 0: 8388608 bytes at 0, grains of 65536$'
GRAINS='^disk.vmdk: grain [0-9]+: [0-9]+ written to sector [0-9]+$
^disk.vmdk: grain [0-9]+: [0-9]+ written to sector [0-9]+, used before$
^disk.vmdk: grain [0-9]+: 1 freed at sector [0-9]+$'
FLUSH='^disk.vmdk: syncing$
^disk.vmdk: is in sync$
^disk.vmdk: writing [1-9][0-9]* pages of grain tables$'

# has YES|NO LINES LOG
has ()
{
  local line

  while read -r line; do
    if grep -qE -- "$line" "$3"; then
      [ "$1" = YES ] || fail "traced: $line"
    else
      [ "$1" = NO ] || fail "not traced: $line"
    fi
  done <<<"$2"
}

trace "$TMP/none" -v
has NO "$FILES" "$TMP/none"
has NO "$GRAINS" "$TMP/none"
has NO "$FLUSH" "$TMP/none"
trace "$TMP/files" -v -D vmdk.files=1
has YES "$FILES" "$TMP/files"
has NO "$GRAINS" "$TMP/files"
has NO "$FLUSH" "$TMP/files"
trace "$TMP/grains" -v -D vmdk.grains=1
has NO "$FILES" "$TMP/grains"
has YES "$GRAINS" "$TMP/grains"
has NO "$FLUSH" "$TMP/grains"
trace "$TMP/flush" -v -D vmdk.flush=1
has NO "$FILES" "$TMP/flush"
has NO "$GRAINS" "$TMP/flush"
has YES "$FLUSH" "$TMP/flush"

# Where the grains of a stream go.
# shellcheck disable=SC2016
nbdkit -v -D vmdk.grains=1 -U - vmdk "$TMP/stream.vmdk" create=true \
  create-size=1M create-type=stream-optimized \
  --run 'nbdsh -u "$uri" -c "h.pwrite(b\"x\" * 65536, 65536)"' 2>"$TMP/stream"
grep -E 'debug: grain 1: [0-9]+ bytes appended at sector 128$' "$TMP/stream"
