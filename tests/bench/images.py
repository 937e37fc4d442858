# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

"""The images that are measured.

qemu-img writes those it can.  The others are written here, in the layout that
VMware's software would give them, from the raw file or, for the maps, with
tables alone.
"""

import array
import os
import random
import re
import struct
import subprocess
import sys

SECTOR, KIB, MIB, TIB = 512, 1024, 1024**2, 1024**4
GRAIN = 64 * KIB                # of hosted sparse extents
NO_PARENT = 0xffffffff
CHAIN_LINKS = 30
MAP_LINKS = 10
MAP_FRAGMENTS = 1400000


def div_up(a, b):
    return -(-a // b)


def little_endian(values):
    if sys.byteorder == "big":
        values = values[:]
        values.byteswap()
    return values


def make_raw(path, size):
    """Files and gaps of many sizes: a third of the bytes is like text, a
    third cannot be compressed, and a third is missing."""
    rng = random.Random(1)
    words = [bytes(rng.choices(b"abcdefghijklmnopqrstuvwxyz", k=n))
             for n in range(2, 12) for _ in range(100)]
    text = b" ".join(rng.choices(words, k=300000))
    with open(path, "wb") as f:
        at = 0
        while at < size:
            length = min(size - at,
                         4 * KIB * int(2 ** rng.uniform(0, 12)))
            kind = rng.randrange(3)
            if kind == 0:
                done = 0
                while done < length:
                    start = rng.randrange(len(text) // 2)
                    piece = text[start:start + length - done]
                    os.pwrite(f.fileno(), piece, at + done)
                    done += len(piece)
            elif kind == 1:
                os.pwrite(f.fileno(), rng.randbytes(length), at)
            at += length
        f.truncate(size)


def descriptor(create_type, extent, cid=1, parent=(NO_PARENT, None), ddb=""):
    parent_cid, hint = parent
    return ("# Disk DescriptorFile\n"
            "version=1\n"
            f"CID={cid:08x}\n"
            f"parentCID={parent_cid:08x}\n"
            f'createType="{create_type}"\n'
            + (f'parentFileNameHint="{hint}"\n' if hint else "")
            + f"\n# Extent description\n{extent}\n"
            f"\n# The Disk Data Base\n#DDB\n\n{ddb}"
            'ddb.adapterType = "lsilogic"\n')


def write_text(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def convert(create_type):
    """Returns a function that has qemu-img write that kind."""
    def write(raw, folder):
        vmdk = os.path.join(folder, "disk.vmdk")
        subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "vmdk",
                        "-o", f"subformat={create_type}", raw, vmdk],
                       check=True)
        return vmdk
    return write


def allocated_grains(data, grain):
    """The numbers and contents of the grains of 'data' that are not zero."""
    zeros = bytes(grain)
    for i in range(div_up(len(data), grain)):
        piece = data[i * grain:(i + 1) * grain]
        if piece != zeros[:len(piece)]:
            yield i, piece.ljust(grain, b"\0")


def write_cowd(raw, folder):
    """What ESX leaves of a disk that was written from its beginning to its
    end: each table followed by its grains, of one sector."""
    per_table = 4096
    sectors = os.path.getsize(raw) // SECTOR
    directory = array.array("I", bytes(4 * div_up(sectors, per_table)))
    free = 4 + div_up(len(directory) * 4, SECTOR)
    with open(raw, "rb") as source, \
            open(os.path.join(folder, "disk-delta.vmdk"), "wb") as f:
        f.seek(free * SECTOR)
        for t in range(len(directory)):
            table = array.array("I", bytes(4 * per_table))
            grains = []
            for i, piece in allocated_grains(source.read(per_table * SECTOR),
                                             SECTOR):
                table[i] = free + 32 + len(grains)
                grains.append(piece)
            if grains:
                directory[t] = free
                f.write(little_endian(table))
                f.write(b"".join(grains))
                free += 32 + len(grains)
        f.seek(0)
        f.write(b"COWD" + struct.pack("<7I", 1, 3, sectors, 1, 4,
                                      len(directory), free))
        f.seek(4 * SECTOR)
        f.write(little_endian(directory))
    vmdk = os.path.join(folder, "disk.vmdk")
    write_text(vmdk, descriptor(
        "vmfsSparse", f'RW {sectors} VMFSSPARSE "disk-delta.vmdk"'))
    return vmdk


def write_sesparse(raw, folder):
    """The regions where ESXi places them; the grains in ascending order."""
    grain, per_table, area = 4 * KIB, 4096, 2048
    sectors = os.path.getsize(raw) // SECTOR
    grains = div_up(sectors * SECTOR, grain)
    tables = div_up(grains, per_table)
    # Directory, tables, free bitmap and back map; their sizes in sectors.
    sizes = [div_up(n, area) * area
             for n in (div_up(tables * 8, SECTOR), tables * 64,
                       div_up(grains, 8 * SECTOR),
                       div_up(grains * 8, SECTOR))]
    at = [2 * area + sum(sizes[:i]) for i in range(len(sizes) + 1)]
    directory = array.array("Q", bytes(8 * tables))
    used = used_tables = 0
    with open(raw, "rb") as source, \
            open(os.path.join(folder, "disk-sesparse.vmdk"), "wb") as f:
        for t in range(tables):
            table = array.array("Q", bytes(8 * per_table))
            pieces = []
            for i, piece in allocated_grains(source.read(per_table * grain),
                                             grain):
                index = used + len(pieces)
                table[i] = 3 << 60 | (index & 0xfff) << 48 | index >> 12
                pieces.append(piece)
            if pieces:
                directory[t] = 0x10000000 << 32 | used_tables
                f.seek((at[1] + used_tables * 64) * SECTOR)
                f.write(little_endian(table))
                f.seek(at[4] * SECTOR + used * grain)
                f.write(b"".join(pieces))
                used += len(pieces)
                used_tables += 1
        f.truncate(at[4] * SECTOR + grains * grain)
        regions = [1, 1, 2, 2, area, area]
        for region in zip(at, sizes + [grains * grain // SECTOR]):
            regions += region
        f.seek(0)
        f.write(struct.pack("<10Q", 0xcafebabe, 2 << 32 | 1, sectors,
                            grain // SECTOR, 64, 0, 0, 0, 0, 0)
                + struct.pack("<16Q", *regions))
        f.seek(SECTOR)
        f.write(struct.pack("<4Q", 0xcafecafe, used_tables, 0, 0))
        f.seek(at[0] * SECTOR)
        f.write(little_endian(directory))
    vmdk = os.path.join(folder, "disk.vmdk")
    write_text(vmdk, descriptor(
        "seSparse", f'RW {sectors} SESPARSE "disk-sesparse.vmdk"',
        ddb='ddb.grain = "8"\n'))
    return vmdk


class Hosted:
    """A monolithicSparse link: where its parts are, and its tables.  Without
    the redundant tables, which no server reads if the others are good."""

    per_table, directory_at = 512, 21

    def __init__(self, size):
        self.sectors = size // SECTOR
        self.tables = div_up(size, GRAIN * self.per_table)
        self.tables_at = self.directory_at + div_up(self.tables * 4, SECTOR)
        self.grains_at = div_up(self.tables_at + 4 * self.tables, 128) * 128
        self.entries = array.array("I", bytes(4 * self.per_table
                                              * self.tables))
        self.used = 0           # grains

    def allocate(self, first, count=1):
        """The next grains of the file become those from 'first' on.  Returns
        the byte where they are."""
        at = self.grains_at + self.used * 128
        self.entries[first:first + count] = array.array(
            "I", range(at, at + count * 128, 128))
        self.used += count
        return at * SECTOR

    def write(self, f, number, names):
        """All but the grains, as link 'number' of the chain 'names'."""
        parent = (NO_PARENT, None)
        if number > 0:
            parent = (number, names[number - 1])
        text = descriptor("monolithicSparse",
                          f'RW {self.sectors} SPARSE "{names[number]}"',
                          number + 1, parent)
        f.truncate((self.grains_at + self.used * 128) * SECTOR)
        f.seek(0)
        f.write(b"KDMV" + struct.pack(
            "<2I4QI3QB4sH", 1, 1, self.sectors, 128, 1, 20, self.per_table,
            0, self.directory_at, self.grains_at, 0, b"\n \r\n", 0))
        f.seek(SECTOR)
        f.write(text.encode())
        f.seek(self.directory_at * SECTOR)
        f.write(little_endian(array.array(
            "I", [self.tables_at + 4 * i for i in range(self.tables)])))
        f.seek(self.tables_at * SECTOR)
        f.write(little_endian(self.entries))


def write_chain(raw, folder):
    """Each MiB of the disk in one of the links, at random."""
    rng = random.Random(2)
    size = os.path.getsize(raw)
    names = [f"link-{i:02}.vmdk" for i in range(CHAIN_LINKS)]
    files = [open(os.path.join(folder, name), "wb") for name in names]
    links = [Hosted(size) for _ in names]
    with open(raw, "rb") as source:
        for region in range(div_up(size, MIB)):
            n = rng.randrange(len(links))
            for i, piece in allocated_grains(source.read(MIB), GRAIN):
                files[n].seek(links[n].allocate(region * MIB // GRAIN + i))
                files[n].write(piece)
    for i, (f, link) in enumerate(zip(files, links)):
        link.write(f, i, names)
        f.close()
    return os.path.join(folder, names[-1])


def write_map(folder, fragments, links):
    """A disk of many runs of allocated grains and as many holes, of random
    lengths, 1 TiB if they are 1.4 million; its parents have a twentieth as
    many, short ones, so that most of its holes remain.  The grains are holes
    of the host's file.  Returns the image, a byte that is allocated in it,
    and its map in the form that compare-maps.py reads."""
    rng = random.Random(3)
    grains = max(TIB // GRAIN * fragments // MAP_FRAGMENTS, fragments)
    names = [f"map-{i}.vmdk" for i in range(links)]
    seen = bytearray(grains)
    for number, name in enumerate(names):
        link = Hosted(grains * GRAIN)
        top = number == links - 1
        count = fragments if top else fragments // 20
        cuts = [0, *sorted(rng.sample(range(1, grains), count - 1)), grains]
        for begin, end in zip(cuts[0::2], cuts[1::2]):
            if not top:
                end = min(end, begin + rng.randrange(1, 24))
            link.allocate(begin, end - begin)
            seen[begin:end] = b"\1" * (end - begin)
        with open(os.path.join(folder, name), "wb") as f:
            link.write(f, number, names)
    model = os.path.join(folder, "model.map")
    with open(model, "w", encoding="ascii") as f:
        for run in re.finditer(rb"\x00+|\x01+", seen):
            begin, end = run.span()
            f.write(f"{begin * GRAIN} {(end - begin) * GRAIN} "
                    f"{'data' if seen[begin] else 'hole,zero'}\n")
    middle = cuts[len(cuts) // 4 * 2] * GRAIN
    return os.path.join(folder, names[-1]), middle, model
