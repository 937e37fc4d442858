# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# shellcheck shell=bash

# What every shell test starts with:
#
#   . "${srcdir:?run it with make check}/functions.sh"
#
# It stops the test at the first command that fails, and gives it
#
#   $TMP        a folder of its own, removed at the end (kept if the test
#               failed and KEEP=1 is set)
#   $top_srcdir, $top_builddir, $srcdir, $builddir
#               absolute paths; only the last is to be written to
#   nbdkit      the wrapper script: plugin "vmdk" is the one just built
#   nbdsh       with the python3 that has libnbd's module; that is $PYTHON
#   mkvmdk      the image generator
#
# and the functions below.  A test that ends while a server it started is
# still running, or whose servers have met an error that valgrind or a
# sanitizer saw, has failed.

set -eu -o pipefail
# Else bash clears -e inside $( ).
shopt -s inherit_errexit

# For the server and the programs of the core, not for clients, which it makes
# slow.
export NBDKIT_PERTURB=${MALLOC_PERTURB_:-${NBDKIT_PERTURB:-}}
unset MALLOC_PERTURB_

: "${srcdir:?}" "${builddir:?}" "${top_srcdir:?}" "${top_builddir:?}"

TMP=$(mktemp -d "${TMPDIR:-/tmp}/nbdkit-vmdk-test-XXXXXX")
export NBDKIT_REPORTS="$TMP/.reports"
mkdir "$NBDKIT_REPORTS"

# core PROGRAM ARG...: run a program that has the core in it.
core ()
{
  local -

  { set +x; } 2>/dev/null
  MALLOC_PERTURB_=$NBDKIT_PERTURB "$builddir/$1" "${@:2}"
}

# skip REASON...
skip ()
{
  echo "SKIP: $*"
  exit 77
}

# fail REASON...
fail ()
{
  echo "FAIL: $*" >&2
  exit 1
}

# requires COMMAND...: skip the test unless the command succeeds.
requires ()
{
  "$@" </dev/null >/dev/null 2>&1 || skip "this fails here: $*"
}

requires_nbdcopy () { requires nbdcopy --version; }
requires_nbdinfo () { requires nbdinfo --version; }
requires_nbdsh () { requires nbdsh -c 'exit(0)'; }
requires_qemu_img () { requires qemu-img --version; }

# requires_filter NAME: a filter of nbdkit.
requires_filter ()
{
  requires nbdkit --filter="$1" null --version
}

# requires_guestfish: also chooses software emulation where KVM does not work,
# because libguestfs looks no further than whether /dev/kvm can be opened.
requires_guestfish ()
{
  requires guestfish --version
  export LIBGUESTFS_BACKEND=direct
  if ! kvm_works; then
    export LIBGUESTFS_BACKEND_SETTINGS=force_tcg
  fi
}

kvm_works ()
{
  echo quit |
    timeout 60 "qemu-system-$(uname -m)" -accel kvm -cpu host -machine q35 \
      -nodefaults -display none -monitor stdio -S >/dev/null 2>&1
}

# fails COMMAND...: it must.  ("! COMMAND" does not end a test under set -e.)
fails ()
{
  if "$@"; then
    fail "this did not fail: $*"
  fi
}

skip_if_valgrind ()
{
  [ "${NBDKIT_VALGRIND:-}" != 1 ] || skip "not under valgrind: $*"
}

# has_sanitizers: this build has them.
has_sanitizers ()
{
  ! grep -q "^preload=''$" "$top_builddir/nbdkit"
}

skip_if_sanitizers ()
{
  ! has_sanitizers || skip "not with sanitizers: $*"
}

mkvmdk ()
{
  "$builddir/mkvmdk" "$@"
}

# write_random SEED OPERATIONS: make a random image, change it through the core
# by four threads, and compare it with a model; no parent changes.  Counts it in
# written if it was, as all must be that nothing makes read-only.
write_random ()
{
  local image=$TMP/image reasons

  reasons='(streamOptimized|seSparse) [^ ]*$|/RDONLY|SESPARSE|--old-cowd'
  # Tables of another size than 512 entries.
  reasons+='|--gtes=[^5].* (custom|[a-zA-Z]*Sparse) [^ ]*$'
  rm -rf "$image"
  mkdir "$image"
  mkvmdk --random --seed="$1" "$image" >"$TMP/made" 2>&1 ||
    fail "seed $1: $(cat "$TMP/made")"
  # Without parents it is the model, which does not change either.
  (cd "$image" && find . \( -name 'link*' -o -name model.raw \) -type f \
    -exec sha256sum {} +) >"$TMP/parents"
  core write-model "$image/top.vmdk" "$1" "$2" 4 >"$TMP/log" 2>&1 ||
    fail "seed $1: $(cat "$TMP/made" "$TMP/log")"
  (cd "$image" && sha256sum -c --quiet "$TMP/parents") ||
    fail "seed $1: a parent has changed"
  if grep -q '^written' "$TMP/log"; then
    written=$((written + 1))
  else
    # The disk itself is what was made last.
    tail -n 1 "$TMP/made" | grep -qE -- "$reasons" ||
      fail "seed $1 was not written: $(cat "$TMP/made" "$TMP/log")"
  fi
}

# memory_folder: make a folder for many small files, in memory if there is
# room, and set $memory to it.  For programs whose syncs need not reach a disk.
memory_folder ()
{
  local available

  memory=$TMP
  available=$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1) || :
  if [ "${available:-0}" -gt 524288 ] && [ -w /dev/shm ]; then
    memory=$(mktemp -d /dev/shm/nbdkit-vmdk-test-XXXXXX)
    cleanup_fn rm -rf "$memory"
  fi
}

# cleanup_fn COMMAND...: run the command when the test ends, however it ends.
# The last one given runs first.
cleanup_hooks=()
cleanup_fn ()
{
  cleanup_hooks=("$(printf '%q ' "$@")" "${cleanup_hooks[@]}")
}

# start_nbdkit -P PIDFILE ARG...: start a server in the background, wait
# until it can be connected to, and stop it when the test ends.
start_nbdkit ()
{
  local pidfile=$2 i

  [ "$1" = -P ] || fail "start_nbdkit: -P PIDFILE must come first"
  nbdkit "$@"
  for ((i = 0; i < 600; i++)); do
    if [ -s "$pidfile" ]; then
      cleanup_fn stop_nbdkit "$pidfile"
      return 0
    fi
    sleep 0.1
  done
  fail "start_nbdkit: $pidfile was not written"
}

# stop_nbdkit PIDFILE: stop a server and wait until it has gone.
stop_nbdkit ()
{
  local pid i

  pid=$(cat "$1")
  kill "$pid" 2>/dev/null || return 0
  for ((i = 0; i < 600; i++)); do
    kill -0 "$pid" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -9 "$pid"
  fail "stop_nbdkit: nbdkit did not end when it was told to"
}

# serve_and DISK COMMAND [PARAMETER...]: serve the disk on a private socket
# while the client command runs; "$uri" in it is the server's URI.
serve_and ()
{
  local disk=$1 command=$2

  shift 2
  nbdkit -r -U - vmdk file="$disk" "$@" --run "$command"
}

# copy_out DISK RAW [PARAMETER...]: copy the disk's content to a raw file.
copy_out ()
{
  local raw

  raw=$(printf '%q' "$2")
  serve_and "$1" "nbdcopy \"\$uri\" $raw" "${@:3}"
}

# make_partitioned_disk RAW: a raw disk of 16 MiB with one partition, which
# begins at 1 MiB and holds an ext4 file system with a file hello.txt.
make_partitioned_disk ()
{
  mkdir "$1.files"
  echo 'Hello from a file in a VMDK.' >"$1.files/hello.txt"
  requires mke2fs -V
  truncate -s 16M "$1"
  mke2fs -q -t ext4 -d "$1.files" -E offset=$((1024 * 1024)) "$1" 15M
  rm -r "$1.files"
  # The partition's entry: type Linux, from sector 2048, 30720 sectors; and
  # the signature of the partition table.
  printf '\0\0\0\0\203\0\0\0\0\10\0\0\0\170\0\0' |
    dd of="$1" bs=1 seek=446 conv=notrunc status=none
  printf '\125\252' | dd of="$1" bs=1 seek=510 conv=notrunc status=none
}

# refuses PATTERN ARG...: "nbdkit ARG..." must exit with status 1, having
# printed one error message, and the message must match the pattern (an
# extended regular expression).
refuses ()
{
  local pattern=$1 status=0

  shift
  timeout 60 nbdkit -U - "$@" --run 'echo served' >"$TMP/refuses.out" \
    2>"$TMP/refuses.err" || status=$?
  cat "$TMP/refuses.out" "$TMP/refuses.err"
  [ "$status" -eq 1 ] || fail "nbdkit exited with status $status, not 1"
  sed -n '/error: warning: /d; s/^nbdkit: .*error: //p' "$TMP/refuses.err" \
    >"$TMP/refuses.msg"
  [ "$(wc -l <"$TMP/refuses.msg")" -eq 1 ] ||
    fail "nbdkit did not print one error message"
  grep -E -- "$pattern" "$TMP/refuses.msg" ||
    fail "the error message does not match: $pattern"
}

# reported_errors FILE: what in a report of valgrind or a sanitizer concerns the
# plugin.  nbdkit itself leaks a connection that is open when it exits, and with
# it, indirectly, the handles of filters and plugin.  So of LeakSanitizer's
# report it is every direct leak with a frame in the plugin, which may have been
# unloaded by then, and so be without a name.  nbdkit also aborts when a client
# hangs up while it is answered; so of an abort's report it is what has a frame
# in the plugin or in what the tests load.  Of valgrind's, for which
# valgrind.supp deals with leaks, it is all but its remarks about itself.
reported_errors ()
{
  local ours='/plugin/|/vmdkcore/|nbdkit-vmdk-plugin|sanitizer-first'

  case ${1##*/} in
    valgrind.*)
      grep '^==' "$1"
      ;;
    *)
      if grep -q 'ERROR: LeakSanitizer' "$1"; then
        awk -v RS= -v ORS='\n\n' -v ours="$ours|<unknown module>" \
          '/^Direct leak/ && $0 ~ ours' "$1"
      elif ! grep -q 'Sanitizer: ABRT' "$1" || grep -qE "$ours" "$1"; then
        cat "$1"
      fi
      ;;
  esac
}

# Every server has ended, and none with an error that valgrind or a sanitizer
# reported.
check_servers ()
{
  local file status=0

  shopt -s nullglob
  for file in "$NBDKIT_REPORTS"/lock.*; do
    if ! flock -w 60 "$file" true; then
      echo "FAIL: an nbdkit that this test started is still running" >&2
      status=1
    fi
  done
  for file in "$NBDKIT_REPORTS"/sanitizer.* "$NBDKIT_REPORTS"/valgrind.*; do
    if [ -n "$(reported_errors "$file")" ]; then
      cat "$file" >&2
      status=1
    fi
  done
  return "$status"
}

end_test ()
{
  local status=$? hook

  { set +x; } 2>/dev/null
  trap - EXIT
  trap '' INT TERM
  set +e
  for hook in "${cleanup_hooks[@]}"; do
    (eval "$hook") || [ "$status" -ne 0 ] || status=1
  done
  check_servers || [ "$status" -ne 0 ] || status=1
  if [ "$status" -ne 0 ] && [ "$status" -ne 77 ] && [ "${KEEP:-}" = 1 ]; then
    echo "$TMP was kept"
  else
    rm -rf "$TMP"
  fi
  exit "$status"
}

trap end_test EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Without nbdkit nothing can be tested; one that does not start is a fault.
if ! nbdkit --version >"$TMP/version" 2>&1; then
  ! grep -q 'configure found no nbdkit' "$TMP/version" ||
    skip "configure found no nbdkit"
  cat "$TMP/version"
  fail "nbdkit does not start"
fi
rm -f "$TMP/version"
set -x
