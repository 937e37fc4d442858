# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

"""What is done with the servers, and the peers that are no servers."""

import json
import os
import subprocess
import time

import nbd

# Name: arguments of fio; None is nbdcopy.
READS = {
    "copy": None,
    "random-4k": ("--rw=randread", "--bs=4k"),
    "random-64k": ("--rw=randread", "--bs=64k"),
    "sequential-1m": ("--rw=read", "--bs=1m"),
    "sequential-4k": ("--rw=read", "--bs=4k"),
}


def timed(command):
    """Returns the seconds that it took."""
    before = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - before


def read(workload, uri, size, seconds):
    """Returns bytes per second, and the bytes."""
    if READS[workload] is None:
        return size / timed(["nbdcopy", uri, "null:"]), size
    out = subprocess.run(
        ["fio", "--name=bench", "--ioengine=nbd", f"--uri={uri}",
         f"--size={size}", "--iodepth=16", "--time_based",
         f"--runtime={seconds}", "--readonly", "--norandommap",
         "--output-format=json", *READS[workload]],
        check=True, stdout=subprocess.PIPE).stdout
    done = json.loads(out[out.index(b"{"):])["jobs"][0]["read"]
    return done["io_bytes"] / (done["runtime"] / 1000), done["io_bytes"]


def convert(vmdk, size):
    """qemu-img, which reads the file itself; returns bytes per second."""
    return size / timed(["qemu-img", "convert", "-n", "-f", "vmdk",
                         "--target-image-opts", vmdk,
                         f"driver=null-co,size={size}"])


def inflate(vmdk, size):
    """Every grain inflated on all cores, and nothing else."""
    out = subprocess.run([os.path.join(os.environ["builddir"],
                                       "inflate-limit"), vmdk],
                         check=True, stdout=subprocess.PIPE).stdout
    return size / float(out)


def map_all(uri):
    """Returns the seconds."""
    return timed(["nbdinfo", "--map", uri])


def first_byte(command, offset):
    """The seconds from starting a server to having read 4 KiB from it."""
    before = time.monotonic()
    h = nbd.NBD()
    h.connect_systemd_socket_activation(command)
    h.pread(4096, offset)
    elapsed = time.monotonic() - before
    h.shutdown()
    return elapsed


def verify(uri, raw, folder):
    out = os.path.join(folder, "out.raw")
    subprocess.run(["nbdcopy", uri, out], check=True)
    subprocess.run(["cmp", out, raw], check=True)
    os.unlink(out)


def verify_map(uri, model, folder):
    out = os.path.join(folder, "out.map")
    with open(out, "wb") as f:
        subprocess.run(["nbdinfo", "--map", uri], check=True, stdout=f)
    subprocess.run([os.environ["PYTHON"], "-B",
                    os.path.join(os.environ["srcdir"], "compare-maps.py"),
                    model, out], check=True)
    os.unlink(out)
