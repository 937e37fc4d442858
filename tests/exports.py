# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

"""Servers with several exports, and their clients.

A test that uses it sets PYTHONPATH to $srcdir, and has OUT from
image-functions.sh.
"""

import glob
import os
import time

import nbd
from writing import Server


class Exports(Server):
    """A server of which a client chooses a disk by name.  Its first parameter
    is dir= or file=, with the key."""

    def connect(self, name=""):
        h = nbd.NBD()
        h.add_meta_context("base:allocation")
        h.set_export_name(name)
        h.connect_unix(self.socket)
        return h

    def names(self):
        """What is listed, in that order."""
        h = nbd.NBD()
        h.set_opt_mode(True)
        h.connect_unix(self.socket)
        names = []
        h.opt_list(lambda name, _description: names.append(name))
        h.opt_abort()
        return names

    def refuses(self, name, words=""):
        """The client is refused, and the log says why in these words."""
        before = len(self.messages())
        try:
            self.connect(name)
        except nbd.Error:
            said = self.messages()[before:]
            assert words in said, (name, said)
            return
        raise AssertionError(f"{name!r} was opened")

    def has_open(self, folder):
        """The names of the files in the folder that the server has open, each
        as often as that is so."""
        found = []
        for fd in glob.glob(f"/proc/{self.process.pid}/fd/*"):
            try:
                target = os.readlink(fd)
            except FileNotFoundError:
                continue
            if target.startswith(folder + "/"):
                found.append(os.path.basename(target))
        return sorted(found)

    def wait_until_open(self, folder, wanted):
        """The server sees a little later that a client has gone."""
        for _ in range(600):
            if self.has_open(folder) == wanted:
                return
            time.sleep(0.1)
        raise AssertionError(self.has_open(folder))


def load(path):
    with open(path, "rb") as f:
        return f.read()
