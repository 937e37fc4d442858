# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# shellcheck shell=bash

# For tests of folders of disks.  Source it behind image-functions.sh.  The
# folder is $DIR, for Python too; what a disk X.vmdk that make_disk made holds
# is in $TMP/X.raw.

export DIR="$TMP/dir" RAWS="$TMP"
export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1
mkdir "$DIR"

# make_disk NAME KIND [OPTION OF MKVMDK...]: NAME without .vmdk.
make_disk ()
{
  mkvmdk --model="$TMP/$1.raw" --map="$TMP/$1.map" --size=1M "${@:3}" "$2" \
    "$DIR/$1.vmdk"
}

# make_child NAME KIND PARENT [OPTION OF MKVMDK...]: of the disk PARENT, without
# .vmdk.
make_child ()
{
  make_disk "$1" "$2" --parent="$DIR/$3.vmdk" --parent-model="$TMP/$3.raw" \
    --parent-map="$TMP/$3.map" "${@:4}"
}

# lists PARAMETER "NAME..." [PARAMETER...]: the exports are these, in this
# order.
lists ()
{
  local names

  # shellcheck disable=SC2016
  names=$(nbdkit -r -U - vmdk "$1" "${@:3}" --run '"$PYTHON" -c "
import nbd
h, names = nbd.NBD(), []
h.set_opt_mode(True)
h.connect_unix(\"$unixsocket\")
h.opt_list(lambda name, _: names.append(name))
h.opt_abort()
print(*names)"')
  [ "$names" = "$2" ] || fail "these are not the exports: $2"
}
