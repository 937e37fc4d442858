# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

"""Write to a damaged disk where it can be read, or see that it is read-only.

What the map of the model calls an error may be an error or the bytes from
before the damage.  All else must be as in the model, and what is written must
be there, also after a restart; a disk that is served read-only must not
change.
"""

import os

import nbd
from writing import Model, Server, checksums, difference, files, rng

IMAGE = os.environ["IMAGE"]
FOLDER = os.path.dirname(IMAGE)


def good_ranges():
    with open(os.environ["MAP"], encoding="ascii") as f:
        for line in f:
            offset, length, kind = line.split()
            if kind != "error":
                yield int(offset), int(length)


def check(h, model):
    for offset, length in good_ranges():
        model.check(h, length, offset)


def main():
    model = Model.load()
    before = checksums(*files(FOLDER))
    server = Server(IMAGE)
    h = server.connect()
    if h.is_read_only():
        print("read-only:", h.get_export_description())
        check(h, model)
        h.shutdown()
        server.stop()
        assert checksums(*files(FOLDER)) == before
        return
    places = [r for r in good_ranges() if r[1] > 1]
    written = refused = 0
    for _ in range(60 if places else 0):
        offset, length = rng.choice(places)
        offset += rng.randint(0, length - 1)
        count = min(offset + length, model.size) - offset
        count = min(count, rng.choice((1, 512, 5000, 70000)))
        end = max(o + n for o, n in places if o <= offset)
        count = min(count, end - offset)
        if count <= 0:
            continue
        old = bytes(model.data[offset:offset + count])
        try:
            model.write(h, count, offset)
            written += 1
        except nbd.Error:
            refused += 1
            got = h.pread(count, offset)
            assert difference(got, old) is None
    print("writes:", written, "done,", refused, "refused")
    check(h, model)
    h.shutdown()
    server.stop()
    if written == 0:
        assert checksums(*files(FOLDER)) == before
    server = Server(IMAGE, options=["-r"])
    h = server.connect()
    check(h, model)
    h.shutdown()
    server.stop()


main()
