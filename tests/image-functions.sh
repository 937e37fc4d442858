# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# shellcheck shell=bash

# For tests that make images and compare what is served with their models.
# Source it behind functions.sh.  An image lives in a folder of its own,
# $TMP/disk, and is called $IMAGE; its model is in $MODEL (the guest's bytes)
# and $MAP.

# Exported for the command lines of --run.
export IMAGE="$TMP/disk/disk.vmdk"
export MODEL="$TMP/model.raw"
export MAP="$TMP/model.map"
export OUT="$TMP/out"

# make_image KIND [OPTION OF MKVMDK...]: it replaces the one before.
make_image ()
{
  rm -rf "$TMP/disk" "$MODEL" "$MAP"
  mkdir "$TMP/disk"
  mkvmdk --model="$MODEL" --map="$MAP" "${@:2}" "$1" "$IMAGE"
}

# make_image_without_model KIND [OPTION...]: for disks that are too large for
# a model.
make_image_without_model ()
{
  rm -rf "$TMP/disk"
  mkdir "$TMP/disk"
  mkvmdk "${@:2}" "$1" "$IMAGE"
}

# Does the file system tell holes of 4 KiB from data?
host_has_holes=
find_out_about_holes ()
{
  [ -z "$host_has_holes" ] || return 0
  host_has_holes=$("$PYTHON" - "$TMP" <<'END'
import os, sys, tempfile
with tempfile.TemporaryFile(dir=sys.argv[1]) as f:
    f.truncate(1024 * 1024)
    os.pwrite(f.fileno(), b"x" * 4096, 512 * 1024)
    at = os.lseek(f.fileno(), 0, os.SEEK_DATA)
    end = os.lseek(f.fileno(), at, os.SEEK_HOLE)
    print("yes" if at == 512 * 1024 and end == at + 4096 else "no")
END
)
}

# compare_maps [SERVED]: the map that nbdinfo printed must be the model's.
compare_maps ()
{
  local options=()

  find_out_about_holes
  if [ "$host_has_holes" = no ] &&
    LC_ALL=C grep -qaiE '^ *(RW|RDONLY)\s.*\s(FLAT|VMFS)\s' "$IMAGE"; then
    options=(--no-holes)
  fi
  "$PYTHON" "$srcdir/compare-maps.py" "${options[@]}" "$MAP" \
    "${1:-$OUT.map}"
}

# check_image [PARAMETER...]: what nbdcopy reads and what nbdinfo says of the
# allocation must be the model's.
check_image ()
{
  rm -f "$OUT.raw" "$OUT.map"
  # shellcheck disable=SC2016
  serve_and "$IMAGE" \
    'nbdcopy "$uri" "$OUT.raw" && nbdinfo --map "$uri" >"$OUT.map"' "$@"
  cmp "$OUT.raw" "$MODEL"
  compare_maps
}

# try KIND [OPTION OF MKVMDK...]: make an image and check it.
try ()
{
  make_image "$@"
  check_image
}

# requires_strace: and what cannot run under it, or looks different.
requires_strace ()
{
  requires strace -D -o /dev/null true
  skip_if_valgrind "strace looks at the server's system calls"
  skip_if_sanitizers "they cannot be used under strace"
}

requires_nbdcopy
requires_nbdinfo
requires_nbdsh

# refuses_fast PATTERN ARG...: like "refuses", and in good time.
refuses_fast ()
{
  local start=${EPOCHREALTIME/./} took

  refuses "$@"
  took=$(((${EPOCHREALTIME/./} - start) / 1000))
  echo "refused within $took ms"
  [ "${NBDKIT_VALGRIND:-}" = 1 ] || [ "$took" -lt 5000 ] ||
    fail "it took $took ms to refuse this"
  # That one message is all there is, but for warnings.
  if grep -vE '^nbdkit: (.*: )?error: ' "$TMP/refuses.err"; then
    fail "nbdkit printed something else too"
  fi
}

# list_damages VERDICT KIND: sets damages to the names of the damage that the
# generator can do, of which there must be some.
list_damages ()
{
  damages=$(mkvmdk --list-damage |
    awk -F '\t' -v v="$1" -v k="$2" \
      '$2 == v && index("," $3 ",", "," k ",") { print $1 }')
  [ -n "$damages" ] || fail "the generator knows no damage: $*"
}

# make_damaged DAMAGE KIND [OPTION...]: returns 1 if there is no such image
# without a parent.
make_damaged ()
{
  if ! make_image "${@:2}" --damage="$1" 2>"$TMP/mkvmdk.err"; then
    grep -e --parent "$TMP/mkvmdk.err" || exit 1
    return 1
  fi
}

# refused_damage DAMAGE KIND [OPTION OF MKVMDK...]
refused_damage ()
{
  rm -rf "$TMP"/disk-*
  make_damaged "$@" || return 0
  case $1 in
    cut-in-tables | overhead-past-file)
      # A reader may refuse these, or do without what is missing.
      if read_damage --right-or-error; then
        return 0
      fi
      ;;
  esac
  refuses_fast 'disk[-.0-9a-z]*|/etc/passwd|/dev/zero' vmdk "$IMAGE"
  echo "$1: $(cat "$TMP/refuses.msg")"
}

# check_refused_damage KIND [OPTION OF MKVMDK...]: each damage that makes an
# image of this kind useless is found, and the message names a file.
check_refused_damage ()
{
  local damage failed='' n=0

  list_damages refuse "$1"
  for damage in $damages; do
    (refused_damage "$damage" "$@") || failed+=" $damage"
    n=$((n + 1))
  done
  [ -z "$failed" ] || fail "$1: damage that is not refused well:$failed"
  [ $n -ge 10 ]
}

# read_damage [OPTION OF check-reads.py]
read_damage ()
{
  # shellcheck disable=SC2016
  READ_OPTION=${1:-} nbdkit -U - vmdk "$IMAGE" --run \
    '"$PYTHON" "$srcdir/check-reads.py" $READ_OPTION "$uri" "$MODEL" "$MAP" &&
     nbdinfo --map "$uri" >"$OUT.map"'
}

# opened_damage DAMAGE KIND [OPTION OF MKVMDK...]
opened_damage ()
{
  local option=''

  make_damaged "$@" || return 0
  # What there is of a grain may be served.
  [ "$1" != cut-in-grain ] || option=--right-or-error
  read_damage $option 2>"$TMP/nbdkit.err" || {
    cat "$TMP/nbdkit.err"
    exit 1
  }
  compare_maps || exit 1
  # What was read in spite of damage was said, and not again and again.
  if sed -n '/warning:/ { s/.*warning: //; s/ [0-9][0-9]*/ N/g; p }' \
    "$TMP/nbdkit.err" | sort | uniq -d | grep .; then
    fail "a warning was repeated"
  fi
}

# check_opened_damage KIND [OPTION OF MKVMDK...]: with each damage that leaves
# something to read, that is what is read, and all else is an I/O error.
check_opened_damage ()
{
  local damage failed='' n=0

  list_damages open "$1"
  for damage in $damages; do
    (opened_damage "$damage" "$@") || failed+=" $damage"
    n=$((n + 1))
  done
  [ -z "$failed" ] || fail "$1: damage that is not served well:$failed"
  [ $n -ge 2 ]
}

# The server finds that the kernel has no openat2.  Signals are for the server,
# which is not strace's child.
if [ "${NO_OPENAT2:-}" = 1 ]; then
  requires_strace
  mkdir "$TMP/bin"
  cat >"$TMP/bin/nbdkit" <<END
#!/bin/sh
exec strace -Df -A -o '$TMP/strace' -e trace=openat2 \\
  -e inject=openat2:error=ENOSYS '$top_builddir/nbdkit' "\$@"
END
  chmod +x "$TMP/bin/nbdkit"
  PATH="$TMP/bin:$PATH"
  cleanup_fn grep -q INJECTED "$TMP/strace"
fi
