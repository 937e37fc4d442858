# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

"""Check that a streamOptimized file is one that everybody accepts.

Usage: check-stream.py FILE.vmdk [RAW]

The file is read from its first sector to its last, and must be exactly what
ESXi, VirtualBox, 7-Zip and the others take without complaint: what follows
from what is fixed, and all that agrees with nothing else is wrong.  With RAW,
its content must be that of the raw file.

Each violation is one sentence with the byte of the file where it is.  The exit
status is 1 if there are any.  However the file was made up, this takes no more
time than reading it takes, and memory for one grain and for one number each
32 MiB of the disk that have data.
"""

import os
import re
import struct
import sys
import zlib

SECTOR = 512
GRAIN = 128                     # sectors
GRAIN_BYTES = GRAIN * SECTOR
ENTRIES = 512                   # of a grain table
TABLE_SECTORS = ENTRIES * 4 // SECTOR
# The buffer of VirtualBox, for a marker and what follows it.
MAX_STORED = 66048
MAX_OVERHEAD = 2048             # sectors: 1 MiB of descriptor
MAX_TABLES = 1 << 25            # their directory has 128 MiB
MAX_VIOLATIONS = 50
CHUNK = 1 << 20
GD_AT_END = 0xffffffffffffffff
EOS, TABLE, DIRECTORY, FOOTER, PROGRESS = range(5)
TYPES = {EOS: "end of stream", TABLE: "grain table",
         DIRECTORY: "grain directory", FOOTER: "footer",
         PROGRESS: "progress"}


class Hopeless(Exception):
    """What follows cannot be found any more."""


def div_up(a, b):
    return -(-a // b)


class Report:
    def __init__(self):
        self.count = 0

    def add(self, offset, text):
        print(f"byte {offset}: {text}.")
        self.count += 1
        if self.count >= MAX_VIOLATIONS:
            raise Hopeless

    def expect(self, good, offset, text):
        if not good:
            self.add(offset, text)
        return good

    def hopeless(self, offset, text):
        self.add(offset, text)
        raise Hopeless


class Header:
    """A header, or its copy in the footer."""

    # Name, place, size in bytes, and what it must be in every such file.
    FIELDS = (
        ("magic number", 0, 4, 0x564d444b),
        ("version", 4, 4, 3),
        ("flags", 8, 4, 0x30001),
        ("capacity", 12, 8, None),
        ("grainSize", 20, 8, GRAIN),
        ("descriptorOffset", 28, 8, 1),
        ("descriptorSize", 36, 8, None),
        ("numGTEsPerGT", 44, 4, ENTRIES),
        ("rgdOffset", 48, 8, 0),
        ("gdOffset", 56, 8, None),
        ("overHead", 64, 8, None),
        ("uncleanShutdown", 72, 1, 0),
        ("newline test", 73, 4, 0x0a0d200a),
        ("compressAlgorithm", 77, 2, 1),
    )

    def __init__(self, sector):
        self.sector = sector
        for name, at, size, _ in self.FIELDS:
            setattr(self, name.replace(" ", "_"),
                    int.from_bytes(sector[at:at + size], "little"))

    def check(self, report):
        before = report.count
        if self.magic_number == 0x766d646b:
            report.hopeless(0, "this is a stream that was never completed")
        if self.magic_number != 0x564d444b:
            report.hopeless(0, "there is no header of a hosted sparse file")
        for name, at, _, wanted in self.FIELDS:
            found = getattr(self, name.replace(" ", "_"))
            if wanted is not None:
                report.expect(found == wanted, at, f"the field {name} is "
                              f"{found:#x}, not {wanted:#x}")
        report.expect(not any(self.sector[79:]), 79,
                      "the header is not padded with zeroes")
        report.expect(self.gdOffset == GD_AT_END, 56,
                      "the gdOffset does not refer to the footer")
        report.expect(0 < self.capacity <= MAX_TABLES * ENTRIES * GRAIN, 12,
                      f"the capacity is {self.capacity}")
        if report.count > before:
            raise Hopeless
        end = 1 + self.descriptorSize
        if not report.expect(1 < end <= MAX_OVERHEAD, 36,
                             f"the descriptorSize is {self.descriptorSize}"):
            raise Hopeless
        wanted = div_up(end, GRAIN) * GRAIN
        if not report.expect(self.overHead == wanted, 64,
                             f"the overHead is {self.overHead}, not {wanted}"):
            raise Hopeless


class Descriptor:
    """The text that is embedded; its places are bytes of the file."""

    EXTENT = re.compile(r'(RW|RDONLY) ([1-9][0-9]{0,17}) SPARSE "([^"]+)"')
    PAIR = re.compile(r'([A-Za-z]+)=(?:"([^"]*)"|([^"\s]+))')
    DDB = re.compile(r'(ddb\.[A-Za-z0-9._]+) = "([^"]*)"')
    UUID = ("60 00 C2 9[0-9a-f]( [0-9a-f]{2}){4}"
            "-[0-9a-f]{2}( [0-9a-f]{2}){7}")
    BARE = ("version", "CID", "parentCID")
    # Parts follow each other in this order.
    PARTS = ("header", "extents", "disk data base")

    def __init__(self, area, name, report):
        self.report, self.name = report, name
        self.text, _, rest = area.partition(b"\0")
        report.expect(not any(rest), SECTOR + len(self.text),
                      "something other than zeroes is between the descriptor "
                      "and the first grain")
        self.pairs = {}
        self.extents = []
        self.part = 0

    def check(self, header):
        needed = div_up(len(self.text), SECTOR)
        self.report.expect(
            header.descriptorSize in (needed, 20) and
            header.descriptorSize >= needed, 36,
            f"the descriptorSize is {header.descriptorSize}, "
            f"but the text needs {needed}")
        try:
            text = self.text.decode("utf-8")
        except UnicodeDecodeError as e:
            self.report.hopeless(SECTOR + e.start,
                                 "the descriptor is not UTF-8")
        self.report.expect(
            text.startswith("# Disk DescriptorFile\nversion=1\n"), SECTOR,
            "the descriptor does not begin with its two fixed lines")
        self.report.expect(text.endswith("\n"), SECTOR + len(self.text),
                           "the descriptor's last line has no end")
        at = SECTOR
        for line in text.split("\n"):
            self.line(at, line)
            at += len(line.encode("utf-8")) + 1
        self.check_pairs(text)
        return self.check_sectors(header)

    def line(self, at, line):
        if not line or line.startswith("#"):
            self.report.expect("\r" not in line, at,
                               "a line of the descriptor ends in CR LF")
            return
        extent = self.EXTENT.fullmatch(line)
        pair = self.PAIR.fullmatch(line)
        ddb = self.DDB.fullmatch(line)
        if not (extent or pair or ddb):
            self.report.add(at, "this line of the descriptor is not as "
                            f"VMware writes them: {line[:80]!r}")
            return
        part = 0 if pair else 1 if extent else 2
        self.report.expect(part >= self.part, at,
                           f"the {self.PARTS[part]} of the descriptor comes "
                           f"after the {self.PARTS[self.part]}")
        self.part = max(part, self.part)
        if extent:
            self.extents.append((at, int(extent[2]), extent[3]))
            return
        key = (pair or ddb)[1]
        self.report.expect(key not in self.pairs, at,
                           f"the descriptor has {key} twice")
        if pair:
            self.report.expect((pair[3] is not None) == (key in self.BARE),
                               at, f"the quotes of {key} are wrong")
            value = pair[2] if pair[3] is None else pair[3]
        else:
            value = ddb[2]
        self.pairs.setdefault(key, (at, value))

    def value(self, key, pattern, wanted):
        """Returns the value, if it is there and as it must be."""
        at, value = self.pairs.get(key, (SECTOR, None))
        if value is None:
            self.report.add(at, f"the descriptor has no {key}")
        elif not re.fullmatch(pattern, value, re.A):
            self.report.add(at, f"{key} is {value[:80]!r}, not {wanted}")
        else:
            return value
        return None

    def check_pairs(self, text):
        self.value("version", "1", "1")
        cid = self.value("CID", "[0-9a-f]{8}", "eight digits")
        self.report.expect(
            cid not in ("ffffffff", "fffffffe"), SECTOR,
            f"the CID is {cid}, which has a meaning of its own")
        self.value("parentCID", "ffffffff", "ffffffff")
        self.value("createType", "streamOptimized", "'streamOptimized'")
        # QEMU takes what follows the first "CID=".
        first = text.find("CID")
        self.report.expect(first < 0 or text[first - 1:first + 4] == "\nCID=",
                           SECTOR + max(0, first),
                           "the first thing called CID is not the key")
        if not text.isascii() or "encoding" in self.pairs:
            self.value("encoding", "UTF-8", "'UTF-8'")
        for key in ("parentFileNameHint", "changeTrackPath"):
            self.report.expect(key not in self.pairs, SECTOR,
                               f"a stream has no {key}")
        self.value("ddb.adapterType", "lsilogic", "'lsilogic'")
        version = self.value("ddb.virtualHWVersion", "[0-9]{1,3}", "a number")
        self.report.expect(version is None or int(version) >= 4, SECTOR,
                           f"ddb.virtualHWVersion is {version}, less than 4")
        self.value("ddb.toolsVersion", "[0-9]{1,10}", "a number")
        long_id = self.value("ddb.longContentID", "[0-9a-f]{32}",
                             "32 digits")
        self.report.expect(long_id is None or cid is None or
                           long_id.endswith(cid), SECTOR,
                           "ddb.longContentID does not end with the CID")
        if "ddb.uuid" in self.pairs:
            self.value("ddb.uuid", self.UUID, "a UUID as VMware writes it")

    def check_sectors(self, header):
        """Returns the sectors of the disk."""
        if len(self.extents) != 1:
            self.report.hopeless(SECTOR, "the descriptor has "
                                 f"{len(self.extents)} extents, not one")
        at, sectors, name = self.extents[0]
        self.report.expect(name == self.name, at,
                           f"the extent is called {name[:80]!r}, "
                           "and not as the file")
        rounded = div_up(sectors, GRAIN) * GRAIN
        if header.capacity not in (sectors, rounded):
            self.report.hopeless(at, f"the extent has {sectors} sectors, but "
                                 f"the header's capacity is {header.capacity}")
        self.check_geometry((sectors, header.capacity))
        return sectors

    def check_geometry(self, capacities):
        found = [self.value("ddb.geometry." + key, "[1-9][0-9]{0,15}",
                            "a number")
                 for key in ("cylinders", "heads", "sectors")]
        if None in found:
            return
        wanted = set()
        for n in capacities:
            heads, track = ((64, 32) if n < 1 << 21 else
                            (128, 32) if n < 1 << 22 else (255, 63))
            cylinders = max(1, n // (heads * track))
            wanted |= {(cylinders, heads, track),
                       (min(cylinders, 65535), heads, track)}
        found = tuple(int(n) for n in found)
        self.report.expect(
            found in wanted, SECTOR, "the geometry is "
            f"{found}, not {' or '.join(map(str, sorted(wanted)))}")


class Raw:
    """What the content must be; with nothing to compare it with, anything."""

    def __init__(self, path, size, report):
        self.file, self.size, self.report, self.at = None, size, report, 0
        if path is not None:
            self.file = open(path, "rb")
            length = os.fstat(self.file.fileno()).st_size
            report.expect(length == size, 12, f"the disk has {size} bytes, "
                          f"but the raw file has {length}")

    def grain(self, offset, start, data):
        """At this byte of the file is the disk's content from 'start' on."""
        if self.file is None:
            return
        self.zeroes(offset, start)
        self.file.seek(start)
        raw = self.file.read(min(GRAIN_BYTES, max(0, self.size - start)))
        if data[:len(raw)] != raw:
            differ = next(i for i, pair in enumerate(zip(data, raw))
                          if pair[0] != pair[1])
            self.report.add(offset, f"the grain's byte {start + differ} of "
                            "the disk is not as in the raw file")
        self.at = start + GRAIN_BYTES

    def zeroes(self, offset, end):
        """No grain has been stored up to this byte of the disk."""
        if self.file is None:
            return
        at, fd = self.at, self.file.fileno()
        while at < min(end, self.size):
            try:
                at = os.lseek(fd, at, os.SEEK_DATA)
            except OSError:
                return
            data = os.pread(fd, max(0, min(CHUNK, end - at)), at)
            if any(data):
                at += len(data) - len(data.lstrip(b"\0"))
                self.report.add(offset, f"the grain with byte {at} of the "
                                "disk is missing")
                return
            at += max(1, len(data))


class Stream:
    """What follows the overhead, from marker to marker."""

    def __init__(self, f, length, header, sectors, raw, report):
        self.file, self.length, self.report = f, length, report
        self.header, self.sectors, self.raw = header, sectors, raw
        self.pos = header.overHead
        self.last = -1                  # number of the grain seen last
        self.grains = {}                # of this table: number, sector
        self.tables = {}                # number, sector
        self.stored = 0
        self.directory = None           # its sector
        self.footer = False

    def read(self, sector, n, what):
        """n sectors, or the end of all."""
        if (sector + n) * SECTOR > self.length:
            self.report.hopeless(self.length, f"the file ends in {what}")
        self.file.seek(sector * SECTOR)
        return self.file.read(n * SECTOR)

    def walk(self):
        steps = {TABLE: self.table, DIRECTORY: self.read_directory,
                 FOOTER: self.read_footer}
        while True:
            at = self.pos * SECTOR
            if at >= self.length:
                self.report.hopeless(at, "the file has no end of stream")
            sector = self.read(self.pos, 1, "a marker")
            val, size, kind = struct.unpack_from("<QII", sector)
            if size != 0:
                self.grain(at, val, size)
                continue
            if kind not in TYPES:
                self.report.hopeless(at + 12, f"a marker has the type {kind}")
            self.report.expect(not any(sector[16:]), at + 16, "the marker of "
                               f"the {TYPES[kind]} is not padded with zeroes")
            if kind == EOS:
                self.end(at, val)
                return
            if kind == PROGRESS:
                self.report.hopeless(at, "there is a marker of type 4")
            steps[kind](at, val)

    def wanted_val(self, at, val, wanted, what):
        if val != wanted:
            self.report.hopeless(at, f"the marker of the {what} says that "
                                 f"{val} sectors follow, not {wanted}")

    def grain(self, at, lba, size):
        if 12 + size > MAX_STORED:
            self.report.hopeless(at + 8, f"a grain has {size} bytes, more "
                                 f"than {MAX_STORED - 12}")
        count = div_up(12 + size, SECTOR)
        data = self.read(self.pos, count, "a grain")
        sector, self.pos = self.pos, self.pos + count
        self.report.expect(self.directory is None, at,
                           "a grain follows the grain directory")
        if lba % GRAIN or lba >= self.header.capacity:
            self.report.hopeless(at, "a grain's marker has the lba "
                                 f"{lba}, which is no grain's")
        number = lba // GRAIN
        if number <= self.last:
            self.report.hopeless(at, f"grain {number} follows grain "
                                 f"{self.last}")
        if self.grains and number // ENTRIES != self.last // ENTRIES:
            self.report.add(at, f"grain table {self.last // ENTRIES} does "
                            "not follow its grains")
            self.grains.clear()
        self.last = number
        self.grains[number] = sector
        self.stored += 1
        self.report.expect(not any(data[12 + size:]), at + 12 + size,
                           "a grain is not padded with zeroes")
        content = self.inflate(at + 12, data[12:12 + size])
        if content is not None:
            self.content(at, number, content)

    def inflate(self, at, data):
        """Returns what was compressed, if it is one whole zlib stream."""
        z = zlib.decompressobj()
        try:
            content = z.decompress(data, GRAIN_BYTES + 1)
        except zlib.error as e:
            text = str(e)
            self.report.add(at, "a grain's Adler-32 is wrong"
                            if "data check" in text else
                            f"a grain cannot be inflated: {text}")
            return None
        if len(content) > GRAIN_BYTES:
            self.report.add(at, "a grain inflates to more than a grain")
            return None
        if not z.eof:
            self.report.add(at, "a grain's zlib stream is not complete")
            return None
        self.report.expect(not z.unused_data, at,
                           f"{len(z.unused_data)} bytes follow a grain's "
                           "zlib stream within its size")
        if not self.report.expect(
                len(content) == GRAIN_BYTES, at,
                f"a grain inflates to {len(content)} bytes"):
            return None
        return content

    def content(self, at, number, content):
        self.report.expect(any(content), at,
                           f"grain {number} is stored, but all zeroes")
        start = number * GRAIN_BYTES
        behind = content[max(0, self.sectors * SECTOR - start):]
        self.report.expect(not any(behind), at,
                           f"grain {number} has data behind the disk's end")
        self.raw.grain(at, start, content)

    def table(self, at, val):
        self.wanted_val(at, val, TABLE_SECTORS, "grain table")
        sector = self.pos + 1
        data = self.read(sector, TABLE_SECTORS, "a grain table")
        self.pos += 1 + TABLE_SECTORS
        if not self.report.expect(self.grains, at, "there is a grain table "
                                  "without grains in front of it"):
            return
        number = self.last // ENTRIES
        for i, entry in enumerate(struct.unpack(f"<{ENTRIES}I", data)):
            wanted = self.grains.get(number * ENTRIES + i, 0)
            self.report.expect(entry == wanted, sector * SECTOR + i * 4,
                               f"entry {i} of grain table {number} is "
                               f"{entry}, not {wanted}")
        self.tables[number] = sector
        self.grains.clear()

    def read_directory(self, at, val):
        entries = div_up(self.header.capacity, GRAIN * ENTRIES)
        size = div_up(entries * 4, SECTOR)
        self.wanted_val(at, val, size, "grain directory")
        self.report.expect(not self.grains, at, "the last grain table is "
                           "missing")
        if self.directory is not None:
            self.report.hopeless(at, "there is a second grain directory")
        self.directory = self.pos + 1
        if (self.directory + size) * SECTOR > self.length:
            self.report.hopeless(self.length,
                                 "the file ends in the grain directory")
        seen = 0
        for n in range(0, size * SECTOR, CHUNK):
            self.file.seek(self.directory * SECTOR + n)
            data = self.file.read(min(CHUNK, size * SECTOR - n))
            if any(data):
                for i in range(0, len(data), 4):
                    seen += self.directory_entry((n + i) // 4, data[i:i + 4])
        missing = len(self.tables) - seen
        self.report.expect(missing == 0, at + SECTOR, f"{missing} grain "
                           "tables are missing in the grain directory")
        self.pos = self.directory + size

    def directory_entry(self, i, data):
        """Returns whether it is that of a table."""
        entry = int.from_bytes(data, "little")
        wanted = self.tables.get(i, 0)
        if entry not in (0, wanted):
            self.report.add(self.directory * SECTOR + i * 4, f"entry {i} of "
                            f"the grain directory is {entry}, not {wanted}")
        return wanted != 0 and entry != 0

    def read_footer(self, at, val):
        self.wanted_val(at, val, 1, "footer")
        footer = Header(self.read(self.pos + 1, 1, "the footer"))
        self.pos += 2
        if self.directory is None:
            self.report.hopeless(at, "the footer comes before the directory")
        if self.footer:
            self.report.hopeless(at, "there is a second footer")
        self.footer = True
        header = self.header
        self.report.expect(
            footer.gdOffset == self.directory, at + SECTOR + 56,
            f"the footer's gdOffset is {footer.gdOffset}, not "
            f"{self.directory}")
        for name, place, size, _ in Header.FIELDS:
            same = (footer.sector[place:place + size] ==
                    header.sector[place:place + size])
            self.report.expect(
                same or name == "gdOffset", at + SECTOR + place,
                f"the footer's {name} is not the header's")
        self.report.expect(not any(footer.sector[79:]), at + SECTOR + 79,
                           "the footer is not padded with zeroes")

    def end(self, at, val):
        self.report.expect(val == 0, at, f"the end of stream has val {val}")
        if not self.footer:
            self.report.hopeless(at, "the stream ends without a footer")
        behind = self.length - at - SECTOR
        self.report.expect(behind == 0, at + SECTOR,
                           f"{behind} bytes follow the end of stream")
        self.raw.zeroes(at, self.sectors * SECTOR)


def check(path, raw_path, report):
    with open(path, "rb") as f:
        length = os.fstat(f.fileno()).st_size
        report.expect(length % SECTOR == 0, length,
                      "the file does not end with a whole sector")
        sector = f.read(SECTOR)
        if len(sector) < SECTOR:
            report.hopeless(length, "the file ends in the header")
        header = Header(sector)
        header.check(report)
        area = f.read((header.overHead - 1) * SECTOR)
        if len(area) < (header.overHead - 1) * SECTOR:
            report.hopeless(length, "the file ends in the overhead")
        sectors = Descriptor(area, os.path.basename(path),
                             report).check(header)
        raw = Raw(raw_path, sectors * SECTOR, report)
        stream = Stream(f, length, header, sectors, raw, report)
        stream.walk()
        print(f"{path}: {sectors} sectors, {stream.stored} grains, "
              f"{len(stream.tables)} grain tables, {length} bytes")


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    report = Report()
    try:
        check(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else None,
              report)
    except Hopeless:
        pass
    if report.count:
        print(f"{sys.argv[1]}: {report.count} violations")
        sys.exit(1)


main()
