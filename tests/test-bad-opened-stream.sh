#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Damaged streams.  What is wrong with the directory or the tables costs
# nothing, since the grains are found by their markers.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

# rebuilt DAMAGE: everything is read right all the same, and that is said.
rebuilt ()
{
  make_image streamOptimized --size=5M --gtes=16 --damage="$1"
  copy_out "$IMAGE" "$OUT.raw" 2>"$TMP/log"
  cat "$TMP/log"
  cmp "$OUT.raw" "$MODEL"
  [ "$(grep -c 'found by their markers' "$TMP/log")" -eq 1 ]
}

# costs_what_it_hits DAMAGE: everything else is right.
costs_what_it_hits ()
{
  (opened_damage "$1" streamOptimized --size=5M "${@:2}") ||
    fail "damage that is not served well: $*"
}

rebuilt_damage=' gde-past-end gde-1 gte-past-end gd-garbage gt-garbage
  footer-magic footer-capacity '

for damage in $rebuilt_damage; do
  rebuilt "$damage"
done
n=0
list_damages open streamOptimized
for damage in $damages; do
  case $rebuilt_damage in
    *[[:space:]]$damage[[:space:]]*) ;;
    *) costs_what_it_hits "$damage"
      n=$((n + 1)) ;;
  esac
done
[ $n -ge 10 ]
for style in B C D E; do
  costs_what_it_hits zlib-adler --layout-style=$style
  costs_what_it_hits size-ones --layout-style=$style
done
