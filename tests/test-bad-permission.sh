#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A disk or an extent that may not be read.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

make_image monolithicFlat --size=1M
chmod 0 "$IMAGE"
if [ "$(id -u)" -eq 0 ]; then
  # Permissions do not stop this user: take those of another one, who can
  # reach the files and nothing else.
  requires setpriv --version
  chmod 755 "$TMP" "$TMP/disk" "$TMP/.reports"
  requires setpriv --reuid=65534 --clear-groups test -x "$top_builddir/nbdkit"
  # The list of reports belongs to the user of the test.
  mkdir "$TMP/.reports-of-nobody"
  chmod 777 "$TMP/.reports-of-nobody"
  # So do the counts of "make coverage": without a place for them the server
  # says so.
  mkdir "$TMP/.counts-of-nobody"
  chmod 777 "$TMP/.counts-of-nobody"
  mkdir "$TMP/bin"
  cat >"$TMP/bin/nbdkit" <<END
#!/bin/sh
NBDKIT_REPORTS='$TMP/.reports-of-nobody' \\
  GCOV_PREFIX='$TMP/.counts-of-nobody' \\
  exec setpriv --reuid=65534 --clear-groups '$top_builddir/nbdkit' "\$@"
END
  chmod 755 "$TMP/bin" "$TMP/bin/nbdkit"
  PATH="$TMP/bin:$PATH"
fi
refuses_fast 'disk.vmdk: Permission denied' vmdk "$IMAGE"
chmod 644 "$IMAGE"
chmod 0 "$TMP/disk/disk-flat.vmdk"
refuses_fast 'disk-flat.vmdk: Permission denied' vmdk "$IMAGE"
chmod 644 "$TMP/disk/disk-flat.vmdk"
# shellcheck disable=SC2016
nbdkit -U - vmdk "$IMAGE" --run 'nbdinfo "$uri"'
