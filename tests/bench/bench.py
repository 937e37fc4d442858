# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

"""Measure the plugin against others, and print ratios.

The limit, "raw", is "nbdkit file" on the same bytes raw; the peer, "qemu", is
qemu-nbd on the same VMDK.  In each round all are measured in turn, from the
page cache, and compared; what is printed is the median of those ratios.
Above 1 the plugin is faster.  Where there is one more to compare with, a
third ratio is printed beside its name:

  convert   qemu-img convert, reading the same VMDK into nothing
  inflate   inflating all grains of a stream on all cores, without a server
  one-link  the plugin on a disk of the same content without parents

Writes go to a new disk each time: one that holds nothing, one that is full
("rewrite"), or nothing over a full parent ("overlay"); there "raw" writes to
the raw file of the same content.

The goals are given in the same order, us/raw, us/qemu, and the third; "-" is
none.

What a map and the first byte cost is measured on a disk with many fragments,
1 TiB if they are 1.4 million: "map" alone, "map-chain" as the top of ten
links, "first-byte" the seconds from starting a server to having read 4 KiB;
there "raw" serves the file of the image as it is.  The seconds are those of
client and server; a goal in seconds is for the server's CPU.

Commands that make a disk are measured as a whole, from start to end.  In
"stream-write" a raw disk becomes a stream: by nbdcopy and the plugin, which
syncs the file in the end, and by qemu-img convert, which does not; "size" is
how long our file is, to that of qemu-img.  In "create" an empty disk of 2 TiB
of each kind is made, by the plugin and by qemu-img create where it can.
"""

import argparse
import collections
import os
import shutil
import statistics

import creates
import images
import servers
import workloads
import writes

KIB, MIB, GIB = 1024, 1024**2, 1024**3
FIRST_BYTES = 10                # measurements of each

# 'goals' are those of a workload; 'others' the third peers of one.
Kind = collections.namedtuple("Kind", "make reads goals others")
ANY_READ = ("copy", "random-4k", "random-64k", "sequential-1m")
CONVERT = {"copy": ("convert",)}
KINDS = {
    "sparse": Kind(images.convert("monolithicSparse"), ANY_READ,
                   {"copy": "0.95/1.5", "random-4k": "0.95/4",
                    "random-64k": "0.95/4"}, CONVERT),
    "split": Kind(images.convert("twoGbMaxExtentSparse"), ANY_READ,
                  {"copy": "0.95/1.5"}, CONVERT),
    "flat": Kind(images.convert("monolithicFlat"), ANY_READ,
                 {"copy": "0.95/1.5"}, CONVERT),
    "cowd": Kind(images.write_cowd, ANY_READ, {"copy": "0.9/20"}, CONVERT),
    "sesparse": Kind(images.write_sesparse, ANY_READ, {"copy": "0.9/4"},
                     CONVERT),
    "stream": Kind(images.convert("streamOptimized"),
                   (*ANY_READ, "sequential-4k"),
                   {"copy": "-/5/0.8", "random-4k": "-/4",
                    "sequential-4k": "0.8/7"},
                   {"copy": ("inflate", "convert")}),
    "chain-30": Kind(images.write_chain, ANY_READ[:3],
                     {"random-4k": "-/-/0.8"},
                     {"copy": ("one-link", "convert"),
                      "random-4k": ("one-link",),
                      "random-64k": ("one-link",)}),
}
MAPS = {"map": 1, "map-chain": images.MAP_LINKS}
MAKES = {"stream-write": "6 0.98-1.02", "create": ""}   # and their goals
NAMES = [*KINDS, *MAPS, "first-byte", *workloads.READS, *writes.WRITES, *MAKES]


def parse_size(text):
    units = {"K": KIB, "M": MIB, "G": GIB}
    if text[-1:].upper() in units:
        return int(text[:-1]) * units[text[-1].upper()]
    return int(text)


def parse_arguments():
    p = argparse.ArgumentParser(
        prog="make bench BENCH_ARGS=...", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--short", action="store_true",
                   help="less of everything: 256 MiB, 3 rounds, 1 second")
    p.add_argument("--size", type=parse_size, help="of the disk (1G)")
    p.add_argument("--rounds", type=int,
                   help="measurements of each (5; of the first byte 10)")
    p.add_argument("--seconds", type=int, help="that fio runs each time (2)")
    p.add_argument("--fragments", type=int, default=images.MAP_FRAGMENTS,
                   help="of the disk whose map is measured (%(default)s)")
    p.add_argument("--only", metavar="NAME,...", default="",
                   help="these kinds and workloads: " + ", ".join(NAMES))
    p.add_argument("--folder", required=True, help=argparse.SUPPRESS)
    args = p.parse_args()
    args.size = args.size or (256 * MIB if args.short else GIB)
    args.rounds = args.rounds or (3 if args.short else 5)
    args.seconds = args.seconds or (1 if args.short else 2)
    args.only = [s for s in args.only.split(",") if s]
    for name in args.only:
        if name not in NAMES:
            p.error(f"--only: there is no {name}")
    return args


def chosen(only):
    """The kinds, maps included, and the reads that --only has.  If it names
    reads alone, it is of every kind that is read."""
    every = (*KINDS, *MAPS, "first-byte", *writes.WRITES, *MAKES)
    reads = [n for n in workloads.READS if n in only]
    kinds = [n for n in every if n in only]
    return (kinds or (list(KINDS) if reads else list(every)),
            reads or list(workloads.READS))


def number(value, decimals=2):
    """As many digits as are worth reading."""
    if value is None:
        return "-"
    return f"{value:.{max(0, decimals - (value >= 10) - (value >= 100))}f}"


def three(values, width, decimals=2, names=servers.NAMES):
    """A column for each of the names."""
    return " ".join(f"{number(values.get(name), decimals):>{width}}"
                    for name in names)


def two(values, width, decimals):
    return three(values, width, decimals, creates.NAMES)


def print_title(text):
    print(f"\n{text}", flush=True)


def make_folder(args, name):
    folder = os.path.join(args.folder, name)
    os.mkdir(folder)
    return folder


def in_turn(names, i):
    """Each round begins with another one."""
    names = list(names)
    i %= len(names)
    return names[i:] + names[:i]


class Measurements:
    """Of one workload.  Everything is by name, of a server or another peer;
    a rate is of bytes, or of whatever else the workload does, per second."""

    def __init__(self):
        self.rates = collections.defaultdict(list)
        self.cpu = collections.defaultdict(float)
        self.amount = collections.defaultdict(float)

    def add(self, name, rate, amount, cpu=0.0):
        self.rates[name].append(rate)
        self.amount[name] += amount
        self.cpu[name] += cpu

    def ratio(self, name):
        if name not in self.rates:
            return None
        return statistics.median(
            us / other for us, other
            in zip(self.rates["us"], self.rates[name]))

    def cpu_per(self, unit):
        return {name: self.cpu[name] / (self.amount[name] / unit)
                for name in servers.NAMES if name in self.rates}

    def seconds_each(self):
        return {name: 1 / statistics.median(rates)
                for name, rates in self.rates.items()}


def read_title():
    names = " ".join(f"{n:>5}" for n in servers.NAMES)
    print_title(f"{'':24}{'':>9} {'speed ratios':>28}  "
                f"{'CPU s per GiB':>17}  {'peak MiB':>14}")
    print(f"{'kind':9} {'workload':13} {'goals':>9} {'us/raw':>6} "
          f"{'us/qemu':>7} {'us/other':>13}  {names}  "
          + " ".join(f"{n:>4}" for n in servers.NAMES), flush=True)


def print_read(kind, workload, found, memory):
    others = [f"{name} {number(found.ratio(name)):>4}"
              for name in KINDS[kind].others.get(workload, ())]
    print(f"{kind:9} {workload:13} {KINDS[kind].goals.get(workload, ''):>9} "
          f"{number(found.ratio('raw')):>6} {number(found.ratio('qemu')):>7} "
          f"{others[0] if others else '':>13}  "
          f"{three(found.cpu_per(GIB), 5)}  {three(memory, 4, 0)}")
    for other in others[1:]:
        print(f"{other:>62}")


def measure_reads(kind, reads, raw, args):
    folder = make_folder(args, kind)
    vmdk = KINDS[kind].make(raw, folder)
    others = KINDS[kind].others
    commands = {"us": servers.for_us(vmdk), "raw": servers.for_raw(raw),
                "qemu": servers.for_qemu(vmdk)}
    if any("one-link" in others.get(workload, ()) for workload in reads):
        one = images.convert("monolithicSparse")(
            raw, make_folder(args, f"{kind}/one-link"))
        commands["one-link"] = servers.for_us(one)
    programs = {"convert": workloads.convert, "inflate": workloads.inflate}
    found = collections.defaultdict(Measurements)
    with servers.Servers(commands, args.folder) as running:
        for server in running.values():
            # That also brings the files into the page cache.
            workloads.verify(server.uri, raw, args.folder)
        for i in range(args.rounds):
            for workload in reads:
                peers = (*servers.NAMES, *others.get(workload, ()))
                for name in in_turn(peers, i):
                    if name in programs:
                        found[workload].add(
                            name, programs[name](vmdk, args.size), args.size)
                        continue
                    server = running[name]
                    before = server.cpu_seconds()
                    rate, count = workloads.read(
                        workload, server.uri, args.size, args.seconds)
                    found[workload].add(name, rate, count,
                                        server.cpu_seconds() - before)
        memory = {name: server.peak_memory() / MIB
                  for name, server in running.items()}
    shutil.rmtree(folder)
    for workload in reads:
        print_read(kind, workload, found[workload], memory)


def measure_writes(workload, raw, args):
    found, memory = Measurements(), collections.defaultdict(float)
    for i in range(args.rounds):
        for name in in_turn(servers.NAMES, i):
            rate, count, cpu, peak = writes.measure_once(workload, name, raw,
                                                         args)
            found.add(name, rate, count, cpu)
            memory[name] = max(memory[name], peak / MIB)
    print(f"{'write':9} {workload:13} "
          f"{writes.WRITES[workload].goals:>9} "
          f"{number(found.ratio('raw')):>6} {number(found.ratio('qemu')):>7} "
          f"{'':>13}  {three(found.cpu_per(GIB), 5)}  "
          f"{three(memory, 4, 0)}", flush=True)


def map_title():
    names = " ".join(f"{n:>6}" for n in servers.NAMES)
    print_title(f"{'':20} {'speed ratios':>15}  {'seconds each':>20}  "
                f"{'CPU s each':>20}  {'peak MiB':>14}")
    print(f"{'kind':10} {'goals':>9} {'us/raw':>7} {'us/qemu':>7}  "
          f"{names}  {names}  "
          + " ".join(f"{n:>4}" for n in servers.NAMES), flush=True)


def print_map(kind, goals, found, cpu, memory):
    print(f"{kind:10} {goals:>9} {number(found.ratio('raw')):>7} "
          f"{number(found.ratio('qemu')):>7}  "
          f"{three(found.seconds_each(), 6, 3)}  {three(cpu, 6, 3)}  "
          f"{three(memory, 4, 0)}", flush=True)


def measure_map(kind, args):
    """There is no limit to compare with: a raw file has another map."""
    folder = make_folder(args, kind)
    image, _, model = images.write_map(folder, args.fragments, MAPS[kind])
    commands = {"us": servers.for_us(image), "qemu": servers.for_qemu(image)}
    found = Measurements()
    with servers.Servers(commands, args.folder) as running:
        for server in running.values():
            workloads.verify_map(server.uri, model, args.folder)
        for i in range(args.rounds):
            for name in in_turn(running, i):
                server = running[name]
                before = server.cpu_seconds()
                seconds = workloads.map_all(server.uri)
                found.add(name, 1 / seconds, 1, server.cpu_seconds() - before)
        memory = {name: server.peak_memory() / MIB
                  for name, server in running.items()}
    shutil.rmtree(folder)
    print_map(kind, "-/15 0.3s", found, found.cpu_per(1), memory)


def measure_first_byte(args):
    folder = make_folder(args, "first-byte")
    image, at, _ = images.write_map(folder, args.fragments, 1)
    commands = {"us": servers.for_us_at_once(image),
                "raw": servers.for_raw_at_once(image),
                "qemu": servers.for_qemu(image)}
    found = Measurements()
    for i in range(FIRST_BYTES):
        for name in in_turn(commands, i):
            found.add(name, 1 / workloads.first_byte(commands[name], at), 1)
    shutil.rmtree(folder)
    print_map("first-byte", "", found, {}, {})


def make_title():
    names = " ".join(f"{n:>6}" for n in creates.NAMES)
    print_title(f"{'':48}  {'seconds each':>13}  {'CPU s each':>13}")
    print(f"{'disk':23} {'goals':>11} {'us/qemu':>7} {'size':>5}  {names}  "
          f"{names}", flush=True)


def measure_make(name, peers, once, args):
    """'once' makes the disk as this peer, in this round, and returns its cost.
    The size is said if there is a goal for it."""
    costs = collections.defaultdict(list)
    found = Measurements()
    for i in range(args.rounds):
        for peer in in_turn(peers, i):
            cost = once(peer, i)
            costs[peer].append(cost)
            found.add(peer, 1 / cost.seconds, 1, cost.cpu)
    goals = MAKES.get(name, "")
    size = costs["us"][0].size / costs["qemu"][0].size if goals else None
    print(f"{name:23} {goals:>11} {number(found.ratio('qemu')):>7} "
          f"{number(size, 3):>5}  {two(found.seconds_each(), 6, 3)}  "
          f"{two(found.cpu_per(1), 6, 3)}", flush=True)


def measure_stream_write(raw, args):
    measure_make("stream-write", creates.NAMES,
                 lambda peer, i: creates.write_once(peer, raw, args, i == 0),
                 args)


def measure_create(args):
    for kind in creates.CREATES:
        measure_make("create " + kind, creates.create_peers(kind),
                     lambda peer, _, kind=kind: creates.create_once(
                         peer, kind, args), args)


def main():
    args = parse_arguments()
    kinds, reads = chosen(args.only)
    print(f"A disk of {args.size // MIB} MiB, a map of {args.fragments} "
          f"fragments, medians of {args.rounds} rounds", flush=True)
    read_kinds = [k for k in kinds if k in KINDS]
    write_kinds = [k for k in kinds if k in writes.WRITES]
    made = [k for k in kinds if k in MAKES]
    raw = os.path.join(args.folder, "disk.raw")
    if read_kinds or write_kinds or "stream-write" in made:
        images.make_raw(raw, args.size)
    if read_kinds or write_kinds:
        read_title()
        for kind in read_kinds:
            of_kind = [r for r in KINDS[kind].reads if r in reads]
            if of_kind:
                measure_reads(kind, of_kind, raw, args)
        for workload in write_kinds:
            measure_writes(workload, raw, args)
    if made:
        make_title()
    if "stream-write" in made:
        measure_stream_write(raw, args)
    if "create" in made:
        measure_create(args)
    if os.path.exists(raw):
        os.unlink(raw)
    map_kinds = [k for k in kinds if k in MAPS or k == "first-byte"]
    if map_kinds:
        map_title()
    for kind in map_kinds:
        if kind in MAPS:
            measure_map(kind, args)
        else:
            measure_first_byte(args)


main()
