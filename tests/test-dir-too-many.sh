#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A folder may have so many files, and no more.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/dir-functions.sh
. "$srcdir/dir-functions.sh"

make_disk stream streamOptimized

"$PYTHON" -c 'import os
for i in range(65536 - len(os.listdir(os.environ["DIR"]))):
    os.mknod(os.environ["DIR"] + "/" + str(i))'
lists dir="$DIR" 'stream.vmdk'
: >"$DIR/one-more"
refuses 'has more than 65536 files' vmdk dir="$DIR"
