# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# shellcheck shell=bash

# For tests that create a stream and write to it.  Source it behind
# functions.sh.  The stream is $STREAM, alone in its folder; $RAW is what its
# disk must hold.

# Exported for the command lines of --run and for programs.
export FOLDER="$TMP/disk"
export STREAM="$FOLDER/new.vmdk"
export RAW="$TMP/content.raw"
export OUT="$TMP/out"
export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1

requires_nbdcopy
requires_nbdsh
requires_qemu_img
requires vmdkinfo -V
requires 7z i

# make_raw SIZE [SEED]: a raw disk with text, random bytes and zeroes in pieces
# of many lengths, at most about 24 MiB; its first and last sector have data.
make_raw ()
{
  "$PYTHON" - "$RAW" "$@" <<'END'
import random, sys

path, size, seed = sys.argv[1], int(sys.argv[2]), int((sys.argv + ["1"])[3])
rng = random.Random(seed)
words = [bytes(rng.choices(b"etaoinshrdlu", k=rng.randrange(1, 12)))
         for _ in range(500)]
text = b" ".join(rng.choices(words, k=100000))
with open(path, "wb") as f:
    f.truncate(size)

    def piece(at, length):
        what = rng.randrange(3)
        while length > 0:
            n = min(length, len(text) // 2)
            start = rng.randrange(len(text) - n)
            f.seek(at)
            f.write((text[start:start + n], rng.randbytes(n), bytes(n))[what])
            at, length = at + n, length - n

    left = min(24 << 20, size // 2)
    for _ in range(1000):
        length = min(left, int(2 ** rng.uniform(9, 22)))
        if length == 0:
            break
        piece(rng.randrange(size - length + 1), length)
        left -= length
    for at in (0, size - 512):
        f.seek(at)
        f.write(rng.randbytes(512))
END
}

# create_stream SIZE [PARAMETER...]: sets $create to the parameters, and makes
# an empty folder for it.
create_stream ()
{
  rm -rf "$FOLDER"
  mkdir "$FOLDER"
  create=("$STREAM" create=true create-type=stream-optimized
    create-size="$1" "${@:2}")
}

# new_stream SIZE COMMAND [PARAMETER...]: create it, and run the client
# command, in which "$uri" is the server's.
new_stream ()
{
  create_stream "$1" "${@:3}"
  nbdkit -U - vmdk "${create[@]}" --run "$2"
}

# copy_in [PARAMETER...]: create a stream with the content of $RAW.
copy_in ()
{
  # shellcheck disable=SC2016
  new_stream "$(stat -c %s "$RAW")" 'nbdcopy "$RAW" "$uri"' "$@"
}

# start_stream SIZE [PARAMETER...]: create it, with a server in the background
# that listens at $TMP/sock; $uri is its URI.  End it with end_stream.
start_stream ()
{
  create_stream "$@"
  export uri="nbd+unix:///?socket=$TMP/sock"
  rm -f "$TMP/pid" "$TMP/sock"
  start_nbdkit -P "$TMP/pid" -U "$TMP/sock" vmdk "${create[@]}"
}

end_stream ()
{
  stop_nbdkit "$TMP/pid"
}

# nothing_visible: whatever is in the folder, no name but a hidden one.
nothing_visible ()
{
  local visible

  visible=$(ls "$FOLDER")
  [ -z "$visible" ] || fail "there is something: $visible"
}

# nothing_left: there is nothing in the folder.
nothing_left ()
{
  local left

  left=$(ls -A "$FOLDER")
  [ -z "$left" ] || fail "this was left: $left"
}

# check_structure: the stream alone is in its folder, and everybody takes it.
check_structure ()
{
  local name=${STREAM##*/} size

  size=$(stat -c %s "$RAW")
  [ "$(ls -A "$FOLDER")" = "$name" ] ||
    fail "this is in the folder: $(ls -A "$FOLDER")"
  "$PYTHON" "$srcdir/check-stream.py" "$STREAM" "$RAW"
  qemu-img check -q -f vmdk "$STREAM"
  vmdkinfo "$STREAM" >"$OUT.vmdkinfo"
  grep -E 'Disk type:\s*Stream optimized' "$OUT.vmdkinfo"
  grep -E "Media size:.*\b$size bytes" "$OUT.vmdkinfo"
  nbdkit -r -U - vmdk "$STREAM" --run 'nbdinfo --size "$uri"' >"$OUT.size"
  [ "$(cat "$OUT.size")" = "$size" ]
}

# check_7zip: what it reads is what is in $RAW.
check_7zip ()
{
  local size

  size=$(stat -c %s "$RAW")
  # With -t it does not go on to what is in the disk.
  7z t -tvmdk "$STREAM" >"$OUT.7z" || { cat "$OUT.7z"; fail "7-Zip refuses it"; }
  7z x -tvmdk -so "$STREAM" 2>"$OUT.7z" |
    { cmp -n "$size" - "$RAW" && cat >"$OUT.tail"; }
  # And what is missing in the last grain, if it has it.
  cmp -n "$(stat -c %s "$OUT.tail")" "$OUT.tail" /dev/zero
}

# check_copy: what we read is what is in $RAW.
check_copy ()
{
  rm -f "$OUT.copy"
  copy_out "$STREAM" "$OUT.copy"
  "$PYTHON" "$srcdir/compare-sparse.py" "$OUT.copy" "$RAW"
  rm -f "$OUT.copy"
}

# check_stream: everybody takes it, and reads from it what is in $RAW.
check_stream ()
{
  check_structure
  # The disk of QEMU may have the rest of the last grain.
  qemu-img compare -q -f vmdk -F raw "$STREAM" "$RAW"
  check_7zip
  check_copy
}
