# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

"""Damage a stream in one way after another: each must be found.

Usage: damage-streams.py CHECKER FOLDER

The stream is written here, piece by piece.  The checker must accept it as it
is, and must say of each damaged one what is wrong with it.  Then bytes change
at random: whatever it finds, it must end in good order.
"""

import os
import random
import re
import struct
import subprocess
import sys
import zlib

SECTOR, GRAIN = 512, 128
RANDOM_DAMAGES = 40
GRAIN_BYTES = GRAIN * SECTOR
AT_END = 0xffffffffffffffff
# The last grain has 50 sectors, and the second of three tables nothing.
SECTORS = 1024 * GRAIN + 50
NUMBERS = (0, 1, 2, 511, 1024)
DESCRIPTOR = """\
# Disk DescriptorFile
version=1
encoding="UTF-8"
CID=0172e8a4
parentCID=ffffffff
createType="streamOptimized"

# Extent description
RW %d SPARSE "stream.vmdk"

# The Disk Data Base
#DDB

ddb.adapterType = "lsilogic"
ddb.deletable = "true"
ddb.encoding = "UTF-8"
ddb.geometry.cylinders = "64"
ddb.geometry.heads = "64"
ddb.geometry.sectors = "32"
ddb.longContentID = "c493b057f416b9534001df440172e8a4"
ddb.toolsInstallType = "4"
ddb.toolsVersion = "2147483647"
ddb.uuid = "60 00 C2 98 5d 08 de f2-a0 14 2e 05 94 9d d8 38"
ddb.virtualHWVersion = "4"
""" % SECTORS


def content(number):
    """Of a grain: no two are the same, and the first cannot be compressed."""
    rng = random.Random(number)
    data = rng.randbytes(GRAIN_BYTES if number == 0 else 700)
    data = data.ljust(GRAIN_BYTES, b"x")
    end = SECTORS * SECTOR - number * GRAIN_BYTES
    return data[:end].ljust(GRAIN_BYTES, b"\0")


def pad(data):
    return data + bytes(-len(data) % SECTOR)


def marker(kind, val):
    return struct.pack("<QII", val, 0, kind).ljust(SECTOR, b"\0")


def header(gd, capacity=SECTORS, overhead=128, descriptor_size=2):
    return struct.pack(
        "<4s2I4QI3QB4sH", b"KDMV", 3, 0x30001, capacity, GRAIN, 1,
        descriptor_size, 512, 0, gd, overhead, 0, b"\n \r\n",
        1).ljust(SECTOR, b"\0")


class Grain:
    def __init__(self, number, compressed=None):
        self.name, self.number = f"grain {number}", number
        self.compressed = compressed or zlib.compress(content(number))

    def build(self, sector, state):
        state["grains"][self.number] = sector
        return pad(struct.pack("<QI", self.number * GRAIN,
                               len(self.compressed)) + self.compressed)


class Table:
    def __init__(self, number):
        self.name, self.number = f"table {number}", number

    def build(self, sector, state):
        state["tables"][self.number] = sector + 1
        entries = [state["grains"].get(self.number * 512 + i, 0)
                   for i in range(512)]
        return marker(1, 4) + struct.pack("<512I", *entries)


class Directory:
    name = "directory"

    def build(self, sector, state):
        state["gd"] = sector + 1
        entries = [state["tables"].get(i, 0) for i in range(3)]
        return marker(2, 1) + pad(struct.pack("<3I", *entries))


class Footer:
    name = "footer"

    def build(self, _sector, state):
        return marker(3, 1) + header(state.get("gd", 0))


class Sectors:
    """Given as they are."""

    def __init__(self, name, data):
        self.name, self.data = name, data

    def build(self, _sector, _state):
        return self.data


def good_pieces(descriptor=DESCRIPTOR):
    text = descriptor.encode()
    return [Sectors("header", header(AT_END)),
            Sectors("descriptor", text.ljust(127 * SECTOR, b"\0")),
            *(Grain(n) for n in NUMBERS[:4]), Table(0),
            Grain(NUMBERS[4]), Table(2), Directory(), Footer(),
            Sectors("end", bytes(SECTOR))]


class Image:
    """What the pieces are together, and where each of them is."""

    def __init__(self, pieces):
        self.data, self.at = bytearray(), {}
        state = {"grains": {}, "tables": {}}
        for piece in pieces:
            self.at[piece.name] = len(self.data)
            self.data += piece.build(len(self.data) // SECTOR, state)


def put(name, offset, form, *values):
    """Returns a damage: these values at the offset into the piece."""
    def damage():
        image = Image(good_pieces())
        struct.pack_into(form, image.data, image.at[name] + offset, *values)
        return image.data
    return damage


def text(old, new):
    def damage():
        assert old in DESCRIPTOR, old
        return Image(good_pieces(DESCRIPTOR.replace(old, new, 1))).data
    return damage


def change(function):
    """Returns a damage: the pieces as this function returns them."""
    def damage():
        return Image(function(good_pieces())).data
    return damage


def without(name):
    return change(lambda pieces: [p for p in pieces if p.name != name])


def before(name, *added):
    def insert(pieces):
        i = next(i for i, p in enumerate(pieces) if p.name == name)
        return pieces[:i] + list(added) + pieces[i:]
    return change(insert)


def swap(one, other):
    def exchange(pieces):
        names = [p.name for p in pieces]
        i, j = names.index(one), names.index(other)
        pieces[i], pieces[j] = pieces[j], pieces[i]
        return pieces
    return change(exchange)


def grain(number, compressed):
    """Another content of a grain."""
    return change(lambda pieces: [
        Grain(number, compressed) if p.name == f"grain {number}" else p
        for p in pieces])


def cut(name, offset):
    def damage():
        image = Image(good_pieces())
        return image.data[:image.at[name] + offset]
    return damage


def raw_deflate(data):
    z = zlib.compressobj(6, zlib.DEFLATED, -15)
    return z.compress(data) + z.flush()


def first_table():
    """Where the first table is, in sectors."""
    return Image(good_pieces()).at["table 0"] // SECTOR + 1


TEXT = zlib.compress(content(1))
ZERO_GRAIN = zlib.compress(bytes(GRAIN_BYTES))
BEHIND_END = content(1024)[:-1] + b"x"
# Where the first grain's stored form ends, and the padding begins.
STORED = 12 + len(zlib.compress(content(0)))

# What is wrong, what must be said, and what makes it.
DAMAGES = (
    ("nothing but zeroes", "no header", lambda: bytes(70000)),
    ("an empty file", "ends in the header", lambda: b""),
    ("cut in the header", "ends in the header", cut("header", 511)),
    ("cut in the descriptor", "ends in the overhead", cut("descriptor", 900)),
    ("unfinished", "never completed", put("header", 0, "4s", b"kdmv")),
    ("version 1", "version is 0x1, not 0x3", put("header", 4, "<I", 1)),
    ("a redundant directory", "flags is 0x30003",
     put("header", 8, "<I", 0x30003)),
    ("zeroed-grain entries", "flags is 0x30005",
     put("header", 8, "<I", 0x30005)),
    ("no capacity", "capacity is 0", put("header", 12, "<Q", 0)),
    ("a capacity beyond all bounds", "capacity is 18014398509481984",
     put("header", 12, "<Q", 1 << 54)),
    ("a capacity of more than the extent", "header's capacity is",
     put("header", 12, "<Q", SECTORS + GRAIN)),
    ("grainSize 64", "grainSize is 0x40", put("header", 20, "<Q", 64)),
    ("descriptorOffset 2", "descriptorOffset is 0x2",
     put("header", 28, "<Q", 2)),
    ("descriptorSize 0", "descriptorSize is 0", put("header", 36, "<Q", 0)),
    ("descriptorSize too small", "descriptorSize is 1, but the text needs 2",
     put("header", 36, "<Q", 1)),
    ("descriptorSize too large", "descriptorSize is 9, but the text needs 2",
     put("header", 36, "<Q", 9)),
    ("numGTEsPerGT 256", "numGTEsPerGT is 0x100",
     put("header", 44, "<I", 256)),
    ("rgdOffset", "rgdOffset is 0x15", put("header", 48, "<Q", 21)),
    ("gdOffset in front", "gdOffset does not refer",
     put("header", 56, "<Q", 21)),
    ("overHead 127", "overHead is 127, not 128",
     put("header", 64, "<Q", 127)),
    ("overHead 256", "overHead is 256, not 128",
     put("header", 64, "<Q", 256)),
    ("unclean", "uncleanShutdown is 0x1", put("header", 72, "B", 1)),
    ("sent as text", "newline test is", put("header", 75, "B", 10)),
    ("no compression", "compressAlgorithm is 0x0",
     put("header", 77, "<H", 0)),
    ("padding of the header", "header is not padded",
     put("header", 511, "B", 1)),

    ("padding of the descriptor", "between the descriptor",
     put("descriptor", 2000, "B", 1)),
    ("no fixed first line", "two fixed lines",
     text("# Disk DescriptorFile", "# Disk Descriptor File")),
    ("a blank at the end", "two fixed lines", text("version=1", "version=1 ")),
    ("descriptor version 3", "two fixed lines",
     text("version=1", "version=3")),
    ("CR LF", "ends in CR LF", text("#DDB\n", "#DDB\r\n")),
    ("two blanks", "not as VMware writes", text("RW ", "RW  ")),
    ("blanks around =", "not as VMware writes",
     text("createType=", "createType = ")),
    ("no quotes", "quotes of createType",
     text('"streamOptimized"', "streamOptimized")),
    ("quotes", "quotes of CID", text("CID=0172e8a4", 'CID="0172e8a4"')),
    ("no CID", "has no CID", text("\nCID=0172e8a4", "")),
    ("CID not padded", "CID is '172e8a4'", text("=0172e8a4", "=172e8a4")),
    ("CID of no parent", "meaning of its own",
     lambda: Image(good_pieces(DESCRIPTOR.replace("0172e8a4",
                                                  "ffffffff"))).data),
    ("a parent", "parentCID is '00000001'",
     text("parentCID=ffffffff", "parentCID=00000001")),
    ("parentCID first", "first thing called CID",
     text("CID=0172e8a4\nparentCID=ffffffff",
          "parentCID=ffffffff\nCID=0172e8a4")),
    ("CID twice", "has CID twice",
     text("CID=0172e8a4\n", "CID=0172e8a4\nCID=0172e8a4\n")),
    ("another createType", "createType is 'monolithicSparse'",
     text("streamOptimized", "monolithicSparse")),
    ("a hint of a parent", "no parentFileNameHint",
     text("\n\n# Ext", '\nparentFileNameHint="a"\n\n# Ext')),
    ("no extent", "0 extents",
     text(f'RW {SECTORS} SPARSE "stream.vmdk"\n', "")),
    ("two extents", "2 extents",
     text("\n\n# The", '\nRW 1 SPARSE "other.vmdk"\n\n# The')),
    ("an extent of another size", "extent has 7 sectors",
     text(f"RW {SECTORS} ", "RW 7 ")),
    ("an extent too long to count", "not as VMware writes",
     text(f"RW {SECTORS} ", f"RW {'9' * 5000} ")),
    ("an extent of another kind", "not as VMware writes",
     text(" SPARSE ", " FLAT ")),
    ("another name", "is called 'other.vmdk'",
     text("stream.vmdk", "other.vmdk")),
    ("ddb in front", "header of the descriptor comes after",
     text("CID=", 'ddb.deletable = "true"\nCID=')),
    ("ide", "adapterType is 'ide'", text("lsilogic", "ide")),
    ("no toolsVersion", "no ddb.toolsVersion",
     text('ddb.toolsVersion = "2147483647"\n', "")),
    ("virtualHWVersion 3", "less than 4",
     text('HWVersion = "4"', 'HWVersion = "3"')),
    ("another geometry", "geometry is", text('"64"', '"65"')),
    ("another longContentID", "does not end with the CID",
     text("40172e8a4", "40172e8a5")),
    ("another uuid", "ddb.uuid is", text("60 00 C2", "61 00 C2")),
    ("not UTF-8", "not UTF-8", put("descriptor", 40, "B", 0xff)),
    ("an end without LF", "last line has no end",
     text('HWVersion = "4"\n', 'HWVersion = "4"')),

    ("an lba that is no grain's", "lba 129, which is no grain's",
     put("grain 1", 0, "<Q", 129)),
    ("an lba behind the disk", "which is no grain's",
     put("grain 1024", 0, "<Q", 1025 * GRAIN)),
    ("another lba", "grain 1 follows grain 1",
     put("grain 2", 0, "<Q", GRAIN)),
    ("descending grains", "grain 1 follows grain 2",
     swap("grain 1", "grain 2")),
    ("a size of more than the buffer", "has 66037 bytes, more than 66036",
     put("grain 1", 8, "<I", 66037)),
    ("a size of all ones", "has 4294967295 bytes",
     put("grain 1", 8, "<I", 0xffffffff)),
    ("a size of one less", "zlib stream is not complete",
     put("grain 1", 8, "<I", len(TEXT) - 1)),
    ("a size of one more", "1 bytes follow a grain's zlib stream",
     put("grain 1", 8, "<I", len(TEXT) + 1)),
    ("bytes behind the zlib stream", "3 bytes follow a grain's zlib stream",
     grain(1, TEXT + b"abc")),
    ("padding of a grain", "grain is not padded",
     put("grain 0", STORED, "B", 1)),
    ("another Adler-32", "Adler-32 is wrong",
     put("grain 1", 12 + len(TEXT) - 1, "B", TEXT[-1] ^ 1)),
    ("no Adler-32", "zlib stream is not complete", grain(1, TEXT[:-4])),
    ("no zlib header", "cannot be inflated",
     grain(1, raw_deflate(content(1)))),
    ("a bad deflate block", "cannot be inflated",
     put("grain 1", 14, "B", 0xff)),
    ("a grain of less", "inflates to 65024 bytes",
     grain(1, zlib.compress(content(1)[:-SECTOR]))),
    ("a last grain of less", "inflates to 25600 bytes",
     grain(1024, zlib.compress(content(1024)[:50 * SECTOR]))),
    ("a grain of more", "inflates to more than a grain",
     grain(1, zlib.compress(content(1) + b"\0"))),
    ("a grain of very much more", "inflates to more than a grain",
     grain(1, zlib.compress(bytes(50 << 20)))),
    ("a grain of zeroes", "grain 1 is stored, but all zeroes",
     grain(1, ZERO_GRAIN)),
    ("data behind the disk's end", "behind the disk's end",
     grain(1024, zlib.compress(BEHIND_END))),
    ("a grain with another one's content", "not as in the raw file",
     grain(1, zlib.compress(content(2)))),
    ("a grain less", "grain with byte 65536 of the disk is missing",
     without("grain 1")),
    ("a last grain less", "grain with byte 67108864 of the disk is missing",
     change(lambda pieces: [p for p in pieces if p.name not in
                            ("grain 1024", "table 2")])),
    ("a gap between grains", "ends without a footer",
     before("grain 1", Sectors("gap", bytes(SECTOR)))),
    ("a marker of type 4", "marker of type 4",
     before("grain 1", Sectors("progress", marker(4, 0)))),
    ("a marker of type 5", "marker has the type 5",
     before("grain 1", Sectors("unknown", marker(5, 0)))),

    ("a table of 5 sectors", "5 sectors follow, not 4",
     put("table 0", 0, "<Q", 5)),
    ("padding of a table's marker", "marker of the grain table is not padded",
     put("table 0", 511, "B", 1)),
    ("an entry for another sector", "entry 1 of grain table 0 is 1, not 25",
     put("table 0", SECTOR + 4, "<I", 1)),
    ("an entry behind the marker", "entry 0 of grain table 0 is 129, not 128",
     put("table 0", SECTOR, "<I", 129)),
    ("an entry for no grain", "entry 3 of grain table 0 is 1, not 0",
     put("table 0", SECTOR + 12, "<I", 1)),
    ("an entry behind the disk", "entry 1 of grain table 2 is 128, not 0",
     put("table 2", SECTOR + 4, "<I", 128)),
    ("an entry less", "entry 2 of grain table 0 is 0, not",
     put("table 0", SECTOR + 8, "<I", 0)),
    ("no table", "table 0 does not follow its grains", without("table 0")),
    ("no last table", "last grain table is missing", without("table 2")),
    ("a table for no grains", "table without grains",
     before("grain 1024", Table(1))),
    ("a table twice", "table without grains",
     before("grain 1024", Table(0))),
    ("a table in the midst of its grains", "table 0 does not follow its",
     swap("grain 511", "table 0")),

    ("a directory of two sectors", "2 sectors follow, not 1",
     put("directory", 0, "<Q", 2)),
    ("another entry of the directory",
     f"entry 0 of the grain directory is 7, not {first_table()}",
     put("directory", SECTOR, "<I", 7)),
    ("an entry for the table's marker", "entry 0 of the grain directory",
     put("directory", SECTOR, "<I", first_table() - 1)),
    ("an entry for no table", "entry 1 of the grain directory is 128, not 0",
     put("directory", SECTOR + 4, "<I", 128)),
    ("an entry behind the directory", "entry 3 of the grain directory",
     put("directory", SECTOR + 12, "<I", 128)),
    ("an entry of the directory less", "1 grain tables are missing",
     put("directory", SECTOR, "<I", 0)),
    ("no directory", "footer comes before the directory",
     without("directory")),
    ("a directory twice", "second grain directory",
     before("footer", Directory())),
    ("a grain behind the directory", "grain follows the grain directory",
     change(lambda p: p[:7] + [p[9], p[7], p[8]] + p[10:])),

    ("no footer", "ends without a footer", without("footer")),
    ("two footers", "second footer", before("end", Footer())),
    ("a footer of two sectors", "2 sectors follow, not 1",
     put("footer", 0, "<Q", 2)),
    ("a footer with another gdOffset", "footer's gdOffset is 128",
     put("footer", SECTOR + 56, "<Q", 128)),
    ("a footer without gdOffset", "footer's gdOffset is 18446744073709551615",
     put("footer", SECTOR + 56, "<Q", AT_END)),
    ("a footer with another capacity", "footer's capacity",
     put("footer", SECTOR + 12, "<Q", SECTORS + 78)),
    ("a footer with another version", "footer's version",
     put("footer", SECTOR + 4, "<I", 1)),
    ("a footer without magic number", "footer's magic number",
     put("footer", SECTOR, "<I", 0)),
    ("padding of the footer", "footer is not padded",
     put("footer", SECTOR + 300, "B", 1)),
    ("no end", "no end of stream", without("end")),
    ("an end with a val", "end of stream has val 1",
     put("end", 0, "<Q", 1)),
    ("padding of the end", "marker of the end of stream is not padded",
     put("end", 511, "B", 1)),
    ("a sector behind the end", "512 bytes follow the end",
     change(lambda p: p + [Sectors("more", bytes(SECTOR))])),
    ("a byte behind the end", "not end with a whole sector",
     change(lambda p: p + [Sectors("more", b"\0")])),
    ("cut in a grain", "ends in a grain", cut("grain 0", 5000)),
    ("cut in a table", "ends in a grain table", cut("table 2", 2000)),
    ("cut in the directory", "ends in the grain directory",
     cut("directory", SECTOR)),
    ("cut in the footer", "ends in the footer", cut("footer", SECTOR)),
    ("cut in the end", "not end with a whole sector", cut("end", 511)),
)


def run(checker, path, raw):
    return subprocess.run([sys.executable, "-B", checker, path, raw],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          encoding="utf-8", timeout=60)


def change_at_random(checker, path, raw, good):
    rng = random.Random(1)
    # Where there is something other than the first grain.
    places = [*range(2 * SECTOR), *range(256 * SECTOR, len(good))]
    for _ in range(RANDOM_DAMAGES):
        data = bytearray(good)
        for at in rng.sample(places, rng.choice((1, 2, 20))):
            data[at] ^= 1 << rng.randrange(8)
        with open(path, "wb") as f:
            f.write(data[:rng.choice((len(data), len(data), 140000))])
        result = run(checker, path, raw)
        # It ends with a count, and not with a traceback.
        assert result.returncode == 0 or re.search(
            r": \d+ violations\n\Z", result.stdout), result.stdout


def main():
    checker, folder = sys.argv[1:]
    path = os.path.join(folder, "stream.vmdk")
    raw = os.path.join(folder, "stream.raw")
    with open(raw, "wb") as f:
        for number in NUMBERS:
            f.seek(number * GRAIN_BYTES)
            f.write(content(number))
        f.truncate(SECTORS * SECTOR)
    good = bytes(Image(good_pieces()).data)
    rounded = SECTORS + -SECTORS % GRAIN
    capacity = bytearray(good)
    footer = Image(good_pieces()).at["footer"] + SECTOR
    for at in (0, footer):
        struct.pack_into("<Q", capacity, at + 12, rounded)
    for data in (good, capacity):
        with open(path, "wb") as f:
            f.write(data)
        result = run(checker, path, raw)
        assert result.returncode == 0, result.stdout
        assert "5 grains, 2 grain tables" in result.stdout, result.stdout

    failed = 0
    for what, pattern, damage in DAMAGES:
        data = bytes(damage())
        assert data != good, what
        with open(path, "wb") as f:
            f.write(data)
        result = run(checker, path, raw)
        lines = [line for line in result.stdout.splitlines()
                 if re.match(rf"byte \d+: .*(?:{pattern})", line)]
        found = result.returncode == 1 and lines
        print(f"{what}: {lines[0] if found else 'NOT FOUND'}")
        if not found:
            print(result.stdout[:2000])
            failed += 1
    change_at_random(checker, path, raw, good)
    print(f"{len(DAMAGES)} damages, {failed} not found")
    sys.exit(failed != 0)


main()
