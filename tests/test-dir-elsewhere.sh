#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# What lies behind a disk of a folder is found also behind parents in other
# folders, and neither listed nor written.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/dir-functions.sh
. "$srcdir/dir-functions.sh"
# shellcheck source=tests/failing-disk-functions.sh
. "$srcdir/failing-disk-functions.sh"

mkdir "$TMP/mid" "$TMP/far"

# make_mid KIND [OPTION OF MKVMDK...]: $DIR/top.vmdk, over $TMP/mid/mid.vmdk,
# over $DIR/base.vmdk.
make_mid ()
{
  rm -f "$DIR"/* "$TMP"/mid/* "$TMP"/far/*
  make_disk base monolithicSparse
  make_child mid "$1" base --hint=../dir/base.vmdk "${@:2}"
  make_child top monolithicSparse mid --hint=../mid/mid.vmdk --seed=9
  mv "$DIR/mid.vmdk" "$TMP/mid/"
}

# write EXPORT [PARAMETER...]: its first sector, as it is.
write ()
{
  # shellcheck disable=SC2016
  nbdkit -U - -e "$1" vmdk dir="$DIR" allow-dir="$TMP" "${@:2}" --run \
    'nbdsh -u "$uri" -c "
h.pwrite(h.pread(512, 0), 0)
h.flush()"' 2>"$TMP/log"
}

# behind WORDS: it is so, and the log says why base.vmdk is not written.
behind ()
{
  cksum "$DIR/base.vmdk" >"$TMP/before"
  fails write base.vmdk
  grep "$1" "$TMP/log"
  cksum "$DIR/base.vmdk" | diff - "$TMP/before"
}

make_mid monolithicSparse
lists dir="$DIR" 'top.vmdk' allow-dir="$TMP"
lists dir="$DIR" 'base.vmdk top.vmdk' allow-dir="$TMP" single-link=true
behind 'there is no disk'
write top.vmdk
make_mid monolithicSparse
copy_out "$DIR/top.vmdk" "$TMP/copy.raw" allow-dir="$TMP"
cmp "$TMP/copy.raw" "$TMP/top.raw"

# Extents of the one between.
make_mid twoGbMaxExtentSparse --extent-size=512K
lists dir="$DIR" 'base.vmdk mid-s001.vmdk mid-s002.vmdk top.vmdk'
mv "$TMP/mid/mid.vmdk" "$TMP/far/"
sed -i 's,"mid-s,"../dir/mid-s,' "$TMP/far/mid.vmdk"
ln -s ../far/mid.vmdk "$TMP/mid/mid.vmdk"
lists dir="$DIR" 'top.vmdk' allow-dir="$TMP"

# A link, and another name of the one between, in a folder from where it names
# nothing.
make_mid monolithicSparse
mv "$TMP/mid/mid.vmdk" "$TMP/far/mid.vmdk"
ln -s ../far/mid.vmdk "$TMP/mid/mid.vmdk"
mkdir -p "$TMP/a/b"
ln "$TMP/far/mid.vmdk" "$TMP/a/b/mid.vmdk"
mkvmdk --size=1M --parent="$TMP/far/mid.vmdk" --hint=../a/b/mid.vmdk \
  monolithicSparse "$DIR/a.vmdk"
lists dir="$DIR" 'a.vmdk top.vmdk' allow-dir="$TMP"

# A parent that was changed since is a disk, as in the folder itself.
make_mid monolithicSparse
make_disk base monolithicSparse --cid=1234abcd
lists dir="$DIR" 'base.vmdk top.vmdk' allow-dir="$TMP"
write base.vmdk

# What is there and cannot be read may have any parent.
make_mid monolithicSparse
"$PYTHON" -c "from failing_disk import *; fail(('pread', 'mid.vmdk'))"
behind 'mid.vmdk'
grep 'can be written' "$TMP/log"
# shellcheck disable=SC2016
nbdkit -r -U - -e base.vmdk vmdk dir="$DIR" allow-dir="$TMP" --run \
  'nbdsh -u "$uri" -c "h.pread(512, 0)"'
: >"$FAILING_DISK"
behind 'there is no disk'

# What is not there, or no file, hinders nobody.
make_disk other monolithicSparse
mkfifo "$TMP/mid/fifo"
ln -s loop "$TMP/mid/loop"
for hint in ../mid/none ../none/none ../mid/mid.vmdk/none ../mid ../mid/fifo \
  ../mid/loop "../mid/$(printf 'x%.0s' {1..300})" /dev/zero; do
  mkvmdk --size=1M --parent="$DIR/other.vmdk" --hint="$hint" monolithicSparse \
    "$DIR/lost.vmdk"
  write other.vmdk
done

# Descriptors that name each other, very deep, and more of them than the server
# can have open.
make_disk base monolithicSparse
rm "$TMP"/mid/* "$DIR/lost.vmdk"
"$PYTHON" - <<'PY'
import os

COUNT = 2000


def describe(path, hints, more=""):
    with open(path, "w", encoding="ascii") as f:
        f.write("# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=1\n" + more)
        for hint in hints:
            f.write(f'parentFileNameHint="{hint}"\n')


folder, raws = os.environ["DIR"], os.environ["RAWS"]
describe(folder + "/deep.vmdk", ["../mid/0"])
for i in range(COUNT):
    # Wrong, so that all four are looked at.
    describe(f"{raws}/mid/{i}", [
        "../dir/base.vmdk" if i == COUNT - 1 else f"../mid/{i + 1}",
        *(f"../mid/{i * k % COUNT}" for k in (3, 7, 11))], "RW x\n")
PY
(
  ulimit -n 100
  lists dir="$DIR" 'deep.vmdk other.vmdk top.vmdk' allow-dir="$TMP"
)
