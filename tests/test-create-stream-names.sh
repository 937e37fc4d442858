#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# The name may have anything that a descriptor can hold.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/create-functions.sh
. "$srcdir/create-functions.sh"

make_raw $((3 << 20))
for name in 'two words.vmdk' 'häß.vmdk' 'a#b.vmdk' "it's.vmdk" \
  'back\slash.vmdk' 'no-suffix' '-dash.vmdk' '%s.vmdk' \
  "$(printf 'x%.0s' {1..250}).vmdk"; do
  STREAM=$FOLDER/$name
  copy_in
  check_stream
done

# Relative to where nbdkit was started.
STREAM=$FOLDER/new.vmdk
create_stream 3M
(
  cd "$FOLDER"
  # shellcheck disable=SC2016
  nbdkit -U - vmdk new.vmdk "${create[@]:1}" --run 'nbdcopy "$RAW" "$uri"'
)
check_stream

for name in 'quote".vmdk' $'line\nfeed.vmdk'; do
  STREAM=$FOLDER/$name
  create_stream 3M
  refuses 'name|quot|character' vmdk "${create[@]}"
  nothing_left
done
