#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# The plugin exports what nbdkit looks up, and nothing that could collide with
# other parts of the server.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"

requires nm --version

nm -D --defined-only "$top_builddir/plugin/.libs/nbdkit-vmdk-plugin.so" |
  sed 's/.* //' | grep -v '^vmdk_debug_' >"$TMP/symbols"
diff -u <(echo plugin_init) "$TMP/symbols"
