#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Calls that make a disk are interrupted, and made again.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/failing-disk-functions.sh
. "$srcdir/failing-disk-functions.sh"

mkdir "$TMP/new"
"$PYTHON" -c "from failing_disk import *
fail(*((call, name, 0, END, errno.EINTR)
       for call in ('pwrite', 'ftruncate', 'fallocate', 'fdatasync', 'fsync')
       for name in ('new', 'new.vmdk', 'new-flat.vmdk')))"
for type in monolithic-sparse monolithic-flat stream-optimized; do
  rm -f "$TMP"/new/*
  # shellcheck disable=SC2016
  nbdkit -U - vmdk "$TMP/new/new.vmdk" create=true create-size=3M \
    create-type=$type \
    --run 'nbdsh -u "$uri" -c "h.pwrite(b\"x\" * 100000, 5000); h.flush()"'
  # shellcheck disable=SC2016
  nbdkit -r -U - vmdk "$TMP/new/new.vmdk" \
    --run 'nbdsh -u "$uri" -c "assert h.pread(100000, 5000) == b\"x\" * 100000"'
done
