#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# virt-inspector finds the operating system in a snapshot.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/chain-functions.sh
. "$srcdir/chain-functions.sh"

requires_guestfish
requires virt-inspector --version

# As much of a guest as is looked for.
raw_files ()
{
  mkdir -p "$1"/{bin,boot,etc,usr,var/lib/dpkg}
  echo 12.5 >"$1/etc/debian_version"
  echo nowhere.example.com >"$1/etc/hostname"
  echo '/dev/sda1 / ext4 defaults 0 1' >"$1/etc/fstab"
  cat >"$1/etc/os-release" <<'END'
PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
ID=debian
END
  cat >"$1/var/lib/dpkg/status" <<'END'
Package: example-package
Status: install ok installed
Architecture: all
Version: 1.2-3
Description: a package

END
}

make_partitioned_disk "$TMP/raw"
raw_files "$TMP/files"
mke2fs -q -F -t ext4 -d "$TMP/files" -E offset=$((1024 * 1024)) "$TMP/raw" 15M
make_base twoGbMaxExtentSparse --from="$TMP/raw" --extent-size=5M
make_child monolithicSparse --size=16M --fill=empty

start_nbdkit -P "$TMP/pid" -U "$TMP/sock" -r vmdk "$IMAGE"
timeout 600 virt-inspector --format=raw -a "nbd://?socket=$TMP/sock" \
  >"$TMP/out"
cat "$TMP/out"
grep '<distro>debian</distro>' "$TMP/out"
grep '<hostname>nowhere.example.com</hostname>' "$TMP/out"
grep '<name>example-package</name>' "$TMP/out"
