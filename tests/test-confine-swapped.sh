#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Somebody exchanges an extent, a parent and a folder for links that lead away,
# while servers start.  Whatever these see, they serve what lies in the folder or
# refuse it.  (unit/test-path-swapped does so at each call.)

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/confine-functions.sh
. "$srcdir/confine-functions.sh"

head -c 4096 /dev/urandom >"$TMP/out/data"
make_parent in base.vmdk
make_parent out base.vmdk
make_parent in/sub base.vmdk
for name in data base.vmdk; do
  mv "$TMP/in/$name" "$TMP/in/$name.inside"
  ln -s "../out/$name" "$TMP/in/$name.outside"
done

# It ends when the file that it is given has gone.
cat >"$TMP/swap.py" <<'END'
import os, sys, time

folder, swapping = sys.argv[1:]
os.chdir(folder)
end = time.monotonic() + 120
n = 0
while os.path.exists(swapping) and time.monotonic() < end:
    for name in "data", "base.vmdk":
        kind = ".inside", ".outside"
        os.link(name + kind[n % 2], name + ".new", follow_symlinks=False)
        os.rename(name + ".new", name)
    if os.path.islink("sub"):
        os.unlink("sub")
        os.rename("sub.inside", "sub")
    else:
        os.rename("sub", "sub.inside")
        os.symlink("../out", "sub")
    n += 1
print("swapped %d times" % n)
END
touch "$TMP/swapping"
"$PYTHON" "$TMP/swap.py" "$TMP/in" "$TMP/swapping" &
swapper=$!
stop_swapping ()
{
  rm -f "$TMP/swapping"
  wait $swapper
}
cleanup_fn rm -f "$TMP/swapping"

served=0
denied=0

# race: the disk is served as it is or refused.
race ()
{
  rm -f "$OUT.raw"
  if copy_out "$disk" "$OUT.raw" 2>"$OUT.err"; then
    cmp -n 4096 "$OUT.raw" "$DATA"
    served=$((served + 1))
  else
    cat "$OUT.err"
    grep -E 'allow-dir|No such file|Not a directory|neither beside' "$OUT.err"
    denied=$((denied + 1))
  fi
}

# Both must have been seen.
for ((i = 0; i < 8 || (i < 100 && (served == 0 || denied == 0)); i++)); do
  name_extent data
  race
  name_extent sub/data
  race
  name_parent base.vmdk
  race
  name_parent sub/base.vmdk
  race
done
stop_swapping
echo "served $served times, refused $denied times"
[ $served -gt 0 ] && [ $denied -gt 0 ]
