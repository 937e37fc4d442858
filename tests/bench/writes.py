# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

"""What is written to disks, each time to a new one by a new server."""

import collections
import json
import os
import shutil
import subprocess
import time

import servers
import workloads

# 'disk' is what is written to: "fresh", holding nothing; "full", holding what
# is in the raw file; or "overlay", holding nothing over such a parent, while
# the raw peer has that full.  'fio' is its arguments; None is nbdcopy.
Write = collections.namedtuple("Write", "disk fio goals")
WRITES = {
    "write-4k": Write("fresh", ("--rw=randwrite", "--bs=4k"), "0.7/15"),
    "write-1m": Write("fresh", ("--rw=write", "--bs=1m"), ""),
    "fill": Write("fresh", None, "0.9/5"),
    "rewrite-4k": Write("full", ("--rw=randwrite", "--bs=4k"), ""),
    "overlay-4k": Write("overlay", ("--rw=randwrite", "--bs=4k"), ""),
}


def create(folder, disk, raw, size):
    """Returns the VMDK and the raw file."""
    vmdk = os.path.join(folder, "disk.vmdk")
    copy = os.path.join(folder, "disk.raw")
    base = os.path.join(folder, "base.vmdk")
    if disk == "fresh":
        subprocess.run(["qemu-img", "create", "-q", "-f", "vmdk", vmdk,
                        str(size)], check=True)
        with open(copy, "wb") as f:
            f.truncate(size)
        return vmdk, copy
    shutil.copy(raw, copy)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "vmdk", raw,
                    base if disk == "overlay" else vmdk], check=True)
    if disk == "overlay":
        subprocess.run(["qemu-img", "create", "-q", "-f", "vmdk", "-F",
                        "vmdk", "-b", base, vmdk], check=True)
    return vmdk, copy


def command_for(name, vmdk, copy):
    """As in servers, without -r."""
    return {
        "us": ["nbdkit", "vmdk", vmdk],
        "raw": ["nbdkit", "file", copy],
        "qemu": ["qemu-nbd", "-t", "-e", "16", "-f", "vmdk", vmdk],
    }[name]


def write(workload, uri, raw, size, seconds):
    """Returns bytes per second, and the bytes.  Each ends with a flush, but
    fio's does not count: how long it takes is the file system's matter."""
    fio = WRITES[workload].fio
    if fio is None:
        before = time.monotonic()
        subprocess.run(["nbdcopy", "--flush", raw, uri], check=True)
        return size / (time.monotonic() - before), size
    out = subprocess.run(
        ["fio", "--name=bench", "--ioengine=nbd", f"--uri={uri}",
         f"--size={size}", "--iodepth=16", "--time_based",
         f"--runtime={seconds}", "--norandommap", "--output-format=json",
         *fio], check=True, stdout=subprocess.PIPE).stdout
    done = json.loads(out[out.index(b"{"):])["jobs"][0]["write"]
    return done["io_bytes"] / (done["runtime"] / 1000), done["io_bytes"]


def measure_once(workload, name, raw, args):
    """Returns the rate, the bytes, CPU seconds and peak memory."""
    folder = os.path.join(args.folder, "write")
    os.mkdir(folder)
    vmdk, copy = create(folder, WRITES[workload].disk, raw, args.size)
    # Pages that wait to be written are cheaper to change than others.
    os.sync()
    server = servers.Server(command_for(name, vmdk, copy), name, args.folder)
    try:
        rate, count = write(workload, server.uri, raw, args.size,
                            args.seconds)
        cpu, memory = server.cpu_seconds(), server.peak_memory()
        if WRITES[workload].fio is None:
            workloads.verify(server.uri, raw, args.folder)
    finally:
        server.stop()
    shutil.rmtree(folder)
    return rate, count, cpu, memory
