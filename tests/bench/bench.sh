#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# make bench BENCH_ARGS="--short"; see bench.py --help.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make bench}/functions.sh" 2>/dev/null
{ set +x; } 2>/dev/null

# It would cost each server something else.
unset NBDKIT_PERTURB
for command in fio nbdcopy nbdinfo qemu-img qemu-nbd nbdsh; do
  command -v $command >/dev/null || skip "there is no $command"
done
# The program and the plugin that the script nbdkit would run.
eval "$(sed -n "s/^nbdkit='/export NBDKIT='/p; s/^plugin='/export PLUGIN='/p" \
  "$top_builddir/nbdkit")"
# With sanitizers the plugin can only be loaded by the script.
! has_sanitizers ||
  export NBDKIT="$top_builddir/nbdkit" PLUGIN=vmdk
# -B, for the source folder is not to be written to.
"$PYTHON" -B "$srcdir/bench/bench.py" --folder="$TMP" "$@"
