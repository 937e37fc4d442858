# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

"""How many preads of a folder were going on at the same time, at most.

Usage: count-overlaps.py FOLDER < OUTPUT-OF-STRACE
"""

import sys

folder = sys.argv[1]
going_on = set()
most = 0
for line in sys.stdin:
    thread = line.split(None, 1)[0]
    if "resumed>" in line:
        going_on.discard(thread)
    elif "unfinished" in line and folder in line:
        going_on.add(thread)
        most = max(most, len(going_on))
print(most)
