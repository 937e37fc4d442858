# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

"""Disks that are made, and streams that are written: commands as a user would
type them, from their start to their end."""

import collections
import os
import shlex
import shutil
import subprocess
import sys
import time

# The plugin and the peer, as they are called in the output.
NAMES = ("us", "qemu")

# The disks that are created and nothing else.
CREATE_SIZE = 2 << 40
# Type: what qemu-img calls it, if it has it, and the size; COWD's number of
# sectors has 32 bits.
CREATES = {
    "monolithic-sparse": ("monolithicSparse", CREATE_SIZE),
    "monolithic-flat": ("monolithicFlat", CREATE_SIZE),
    "split-sparse": ("twoGbMaxExtentSparse", CREATE_SIZE),
    "split-flat": ("twoGbMaxExtentFlat", CREATE_SIZE),
    "stream-optimized": ("streamOptimized", CREATE_SIZE),
    "vmfs-flat": (None, CREATE_SIZE),
    "vmfs-thin": (None, CREATE_SIZE),
    "vmfs-sparse": (None, CREATE_SIZE - (1 << 20)),
}

# What a command took: seconds, those of all processors, and bytes of files.
Cost = collections.namedtuple("Cost", "seconds cpu size")


def create_us(create_type, vmdk, size, client):
    """Not through the script of the build folder, which takes time itself."""
    return [os.environ["NBDKIT"], "-U", "-", os.environ["PLUGIN"], vmdk,
            "create=true", f"create-type={create_type}",
            f"create-size={size}", "--run", client]


def create_qemu(subformat, vmdk, size):
    return ["qemu-img", "create", "-q", "-f", "vmdk", "-o",
            f"subformat={subformat}", vmdk, str(size)]


def write_us(raw, vmdk):
    return create_us("stream-optimized", vmdk, os.path.getsize(raw),
                     f'nbdcopy {shlex.quote(raw)} "$uri"')


def write_qemu(raw, vmdk):
    return ["qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o",
            "subformat=streamOptimized", raw, vmdk]


def cost(command, folder):
    """Runs it; what it leaves in the folder is what it made."""
    before = time.monotonic()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - before
    process.returncode = os.waitstatus_to_exitcode(status)
    # 119 is a report of a sanitizer, which functions.sh judges: nbdkit itself
    # may leak a connection.
    if process.returncode not in (0, 119):
        sys.exit(f"{command} failed")
    size = sum(os.path.getsize(os.path.join(folder, name))
               for name in os.listdir(folder))
    return Cost(seconds, usage.ru_utime + usage.ru_stime, size)


def in_folder(args, function):
    """Calls it with the name of an image in a new folder."""
    folder = os.path.join(args.folder, "create")
    os.mkdir(folder)
    # What others have written must not be waited for.
    os.sync()
    try:
        return function(os.path.join(folder, "disk.vmdk"), folder)
    finally:
        shutil.rmtree(folder)


def write_once(name, raw, args, verify):
    """Writes the stream as 'us' or 'qemu'."""
    command = {"us": write_us, "qemu": write_qemu}[name]

    def write(vmdk, folder):
        found = cost(command(raw, vmdk), folder)
        if verify:
            subprocess.run(["qemu-img", "compare", "-q", "-f", "vmdk", "-F",
                            "raw", vmdk, raw], check=True)
        return found
    return in_folder(args, write)


def create_once(name, create_type, args):
    subformat, size = CREATES[create_type]

    def create(vmdk, folder):
        command = (create_us(create_type, vmdk, size, "true")
                   if name == "us" else create_qemu(subformat, vmdk, size))
        return cost(command, folder)
    return in_folder(args, create)


def create_peers(create_type):
    return ("us", "qemu") if CREATES[create_type][0] else ("us",)
