# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

"""The servers that are measured, and what they used."""

import os
import subprocess
import sys
import time

# The plugin, the limit and the peer, as they are called in the output.
NAMES = ("us", "raw", "qemu")


def for_us(vmdk):
    return ["nbdkit", "-r", "vmdk", vmdk]


def for_us_at_once(vmdk):
    """Not through the script of the build folder, which takes time itself."""
    return [os.environ["NBDKIT"], "-r", os.environ["PLUGIN"], vmdk]


def for_raw_at_once(raw):
    return [os.environ["NBDKIT"], "-r", "file", raw]


def for_raw(raw):
    return ["nbdkit", "-r", "file", raw]


def for_qemu(vmdk):
    return ["qemu-nbd", "-r", "-t", "-e", "16", "-f", "vmdk", vmdk]


class Server:
    """One that runs in the background, from when this is made to stop()."""

    def __init__(self, command, name, folder):
        sock = os.path.join(folder, name + ".sock")
        pidfile = os.path.join(folder, name + ".pid")
        for path in (sock, pidfile):
            if os.path.exists(path):
                os.unlink(path)
        if command[0] == "nbdkit":
            options = ["-U", sock, "-P", pidfile]
        else:
            options = ["-k", sock, "--fork", "--pid-file", pidfile]
        subprocess.run([command[0], *options, *command[1:]], check=True)
        for _ in range(300):
            if os.path.exists(pidfile) and os.path.getsize(pidfile) > 0:
                break
            time.sleep(0.1)
        else:
            sys.exit(f"{command} did not start")
        with open(pidfile, encoding="ascii") as f:
            self.pid = int(f.read())
        self.uri = f"nbd+unix:///?socket={sock}"

    def stop(self):
        os.kill(self.pid, 15)
        for _ in range(300):
            if not os.path.exists(f"/proc/{self.pid}"):
                return
            time.sleep(0.1)
        sys.exit(f"process {self.pid} did not end")

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_memory(self):
        """Bytes."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as f:
            for line in f:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        return 0


class Servers:
    """Several, by name: with Servers({name: command}, folder) as s."""

    def __init__(self, commands, folder):
        self.running = {}
        self.commands = commands
        self.folder = folder

    def __enter__(self):
        try:
            for name, command in self.commands.items():
                self.running[name] = Server(command, name, self.folder)
        except BaseException:
            self.__exit__()
            raise
        return self.running

    def __exit__(self, *_):
        for server in self.running.values():
            server.stop()
