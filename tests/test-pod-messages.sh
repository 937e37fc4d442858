#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Every message that the manual page explains is one that the source has.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"

"$PYTHON" - "$top_srcdir" <<'END'
import glob, re, sys

top = sys.argv[1]
source = ""
for folder in "plugin", "vmdkcore":
    for name in sorted(glob.glob(f"{top}/{folder}/*.c")):
        with open(name, encoding="utf-8") as f:
            source += f.read()
# Strings that follow each other are one.
source = re.sub(r'"\s*"', "", source)
source = source.replace("%.300s", "%s")

with open(f"{top}/nbdkit-vmdk-plugin.pod", encoding="utf-8") as f:
    section = f.read().split("=head1 MESSAGES\n")[1].split("\n=head1 ")[0]
messages = re.findall(r"^=item C<(.*)>$", section, re.M)
assert len(messages) > 10
for message in messages:
    # These two are put in front of messages, and behind names.
    text = re.sub(r"^(warning: )?(X: )?(?=\w)", "", message)
    text = re.sub(r"\b[XY]\b", "%s", text)
    # By the system, and by nbdkit.
    if text in ("Too many open files", 'default export ("") not permitted'):
        continue
    assert text in source, message
    print("found:", message)
END
