# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

"""Measure the plugin against two others, and print ratios.

The limit is "nbdkit file" on the same bytes raw, the peer is qemu-nbd on the
same VMDK.  In each round all three are measured in turn, from the page cache,
and compared; what is printed is the median of those ratios.  Above 1 the
plugin is faster.
"""

import argparse
import collections
import json
import os
import random
import statistics
import subprocess
import sys
import time

KIB, MIB, GIB = 1024, 1024**2, 1024**3
SERVERS = ("us", "raw", "qemu")
KINDS = {
    "sparse": "monolithicSparse",
    "split": "twoGbMaxExtentSparse",
    "flat": "monolithicFlat",
}
# Name: arguments of fio; None is nbdcopy.
WORKLOADS = {
    "copy": None,
    "random-4k": ("--rw=randread", "--bs=4k"),
    "random-64k": ("--rw=randread", "--bs=64k"),
    "sequential-1m": ("--rw=read", "--bs=1m"),
}


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
    p.add_argument("--rounds", type=int, help="measurements of each (5)")
    p.add_argument("--seconds", type=int, help="that fio runs each time (2)")
    p.add_argument("--only", metavar="NAME,...", default="",
                   help="these kinds and workloads: "
                   + ", ".join([*KINDS, *WORKLOADS]))
    p.add_argument("--folder", required=True, help=argparse.SUPPRESS)
    args = p.parse_args()
    args.size = args.size or (256 * MIB if args.short else GIB)
    args.rounds = args.rounds or (3 if args.short else 5)
    args.seconds = args.seconds or (1 if args.short else 2)
    args.only = [s for s in args.only.split(",") if s]
    for name in args.only:
        if name not in KINDS and name not in WORKLOADS:
            p.error(f"--only: there is no {name}")
    return args


def chosen(names, only):
    """Those of 'names' that --only has; all if it has none of them."""
    some = [n for n in names if n in only]
    return some or list(names)


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


def start(name, vmdk, raw, folder):
    """Start a server; returns its URI and process ID."""
    sock = os.path.join(folder, name + ".sock")
    pidfile = os.path.join(folder, name + ".pid")
    for path in (sock, pidfile):
        if os.path.exists(path):
            os.unlink(path)
    if name == "qemu":
        command = ["qemu-nbd", "-r", "-t", "-e", "16", "-f", "vmdk",
                   "-k", sock, "--fork", "--pid-file", pidfile, vmdk]
    else:
        plugin = ["vmdk", vmdk] if name == "us" else ["file", raw]
        command = ["nbdkit", "-r", "-U", sock, "-P", pidfile, *plugin]
    subprocess.run(command, check=True)
    for _ in range(300):
        if os.path.exists(pidfile) and os.path.getsize(pidfile) > 0:
            with open(pidfile) as f:
                return f"nbd+unix:///?socket={sock}", int(f.read())
        time.sleep(0.1)
    sys.exit(f"{command} did not start")


def stop(pid):
    os.kill(pid, 15)
    for _ in range(300):
        if not os.path.exists(f"/proc/{pid}"):
            return
        time.sleep(0.1)
    sys.exit(f"process {pid} did not end")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_memory(pid):
    with open(f"/proc/{pid}/status") as f:
        for line in f:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * KIB
    return 0


def run(workload, uri, size, seconds):
    """Returns bytes per second, and the bytes."""
    if WORKLOADS[workload] is None:
        before = time.monotonic()
        subprocess.run(["nbdcopy", uri, "null:"], check=True)
        return size / (time.monotonic() - before), size
    out = subprocess.run(
        ["fio", "--name=bench", "--ioengine=nbd", f"--uri={uri}",
         f"--size={size}", "--iodepth=16", "--time_based",
         f"--runtime={seconds}", "--readonly", "--norandommap",
         "--output-format=json", *WORKLOADS[workload]],
        check=True, stdout=subprocess.PIPE).stdout
    read = json.loads(out[out.index(b"{"):])["jobs"][0]["read"]
    return read["io_bytes"] / (read["runtime"] / 1000), read["io_bytes"]


def verify(uri, raw, folder):
    out = os.path.join(folder, "out.raw")
    subprocess.run(["nbdcopy", uri, out], check=True)
    subprocess.run(["cmp", out, raw], check=True)
    os.unlink(out)


def measure(kind, workloads, raw, args):
    vmdk = os.path.join(args.folder, kind, "disk.vmdk")
    os.mkdir(os.path.dirname(vmdk))
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o",
                    f"subformat={KINDS[kind]}", raw, vmdk], check=True)
    speed = collections.defaultdict(list)
    cpu = collections.defaultdict(float)
    moved = collections.defaultdict(int)
    running = {}
    try:
        for name in SERVERS:
            running[name] = start(name, vmdk, raw, args.folder)
            # That also brings the files into the page cache.
            verify(running[name][0], raw, args.folder)
        for i in range(args.rounds):
            for workload in workloads:
                for k in range(len(SERVERS)):
                    name = SERVERS[(i + k) % len(SERVERS)]
                    uri, pid = running[name]
                    before = cpu_seconds(pid)
                    rate, count = run(workload, uri, args.size, args.seconds)
                    speed[workload, name].append(rate)
                    cpu[workload, name] += cpu_seconds(pid) - before
                    moved[workload, name] += count
        memory = {name: peak_memory(running[name][1]) for name in SERVERS}
    finally:
        for _, pid in running.values():
            stop(pid)
    subprocess.run(["rm", "-r", os.path.dirname(vmdk)], check=True)

    for workload in workloads:
        ratio = {
            name: statistics.median(
                us / other for us, other in
                zip(speed[workload, "us"], speed[workload, name]))
            for name in ("raw", "qemu")}
        used = " ".join(
            f"{cpu[workload, n] / (moved[workload, n] / GIB):6.2f}"
            for n in SERVERS)
        peak = " ".join(f"{memory[n] / MIB:6.0f}" for n in SERVERS)
        print(f"{kind:7} {workload:14} {ratio['raw']:7.2f} "
              f"{ratio['qemu']:8.2f}   {used}   {peak}", flush=True)


def main():
    args = parse_arguments()
    raw = os.path.join(args.folder, "disk.raw")
    make_raw(raw, args.size)
    print(f"A disk of {args.size // MIB} MiB, medians of {args.rounds} rounds")
    print(f"{'':22} {'speed ratios':>16}   {'CPU s per GiB':>20}   "
          f"{'peak memory, MiB':>20}")
    head = " ".join(f"{n:>6}" for n in SERVERS)
    print(f"{'kind':7} {'workload':14} {'us/raw':>7} {'us/qemu':>8}   "
          f"{head}   {head}")
    for kind in chosen(KINDS, args.only):
        measure(kind, chosen(WORKLOADS, args.only), raw, args)


main()
