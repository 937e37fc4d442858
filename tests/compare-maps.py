# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

"""Compare an allocation map with a model's.

Usage: compare-maps.py [--no-holes] MODEL.map SERVED.map

The first is from mkvmdk --map, the second from nbdinfo --map.  Neighbours
that are alike are merged in both.  What cannot be read is allocated.  With
--no-holes only what the model has as data is looked at: the file system of
the host does not represent holes.
"""

import sys

TYPES = {"data": "data", "error": "data", "hole,zero": "hole,zero",
         "0": "data", "3": "hole,zero"}


def load(path):
    runs = []
    expected = 0
    with open(path) as f:
        for line in f:
            words = line.split()
            offset, length = int(words[0]), int(words[1])
            kind = TYPES.get(words[2], words[2])
            if offset != expected or length <= 0:
                sys.exit(f"{path}: gap, overlap or no length: {line!r}")
            if runs and runs[-1][2] == kind:
                runs[-1][1] = offset + length
            else:
                runs.append([offset, offset + length, kind])
            expected = offset + length
    return runs


def main():
    args = sys.argv[1:]
    no_holes = args[0] == "--no-holes"
    if no_holes:
        args = args[1:]
    model, served = load(args[0]), load(args[1])
    if no_holes:
        if model[-1][1] != served[-1][1]:
            sys.exit("the maps have different sizes")
        for start, end, kind in model:
            if kind == "data":
                for s in served:
                    if s[2] != "data" and s[0] < end and s[1] > start:
                        sys.exit(f"data at {start}..{end} is mapped as {s}")
        return
    if model == served:
        return
    for i in range(max(len(model), len(served))):
        m = model[i] if i < len(model) else None
        s = served[i] if i < len(served) else None
        if m != s:
            sys.exit(f"maps differ: run {i}: model {m}, served {s}")


main()
