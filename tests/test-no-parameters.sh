#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Without parameters nbdkit says what is missing, and ends.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"

refuses 'nbdkit vmdk \[file=\]' vmdk
refuses "unknown parameter 'no-such-key'" vmdk no-such-key=1
