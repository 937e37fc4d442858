#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# The same on a kernel that has no openat2.

: "${srcdir:?run this with make check}"
NO_OPENAT2=1 exec bash "$srcdir/test-confine-hard-link.sh"
