#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# nbdkit's own script for bash, which reads --help, completes every parameter
# of the manual page but the magic one: there bash completes names of files.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"

library=/usr/share/bash-completion/bash_completion
completion=/usr/share/bash-completion/completions/nbdkit
requires test -e "$library"
requires test -e "$completion"

# complete WORD: what "nbdkit vmdk WORD" can become, one a line.
complete_word ()
{
  COMP_LINE="nbdkit vmdk $1" bash -c '
    . "$1"
    . "$2"
    COMP_POINT=${#COMP_LINE} COMP_WORDS=(nbdkit vmdk "$3") COMP_CWORD=2
    _nbdkit
    [ ${#COMPREPLY[@]} -eq 0 ] || printf "%s\n" "${COMPREPLY[@]}"' \
    bash "$library" "$completion" "$1" | sort
}

sed -nE 's/^=item B<([-a-z0-9]+=)>.*/\1/p' \
  "$top_srcdir/nbdkit-vmdk-plugin.pod" | sort >"$TMP/parameters"
grep -x allow-dir= "$TMP/parameters"

complete_word '' | diff -u "$TMP/parameters" -
complete_word create- | diff -u <(grep '^create-' "$TMP/parameters") -
complete_word ignore | diff -u <(echo ignore-cid=) -
complete_word disk.v | diff -u /dev/null -
