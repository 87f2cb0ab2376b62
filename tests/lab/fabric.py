# SPDX-License-Identifier: GPL-2.0-or-later
"""The fabric of a lab: fabric.c, its log and its switch."""

import collections
import os
import shlex
import subprocess
from pathlib import Path

from tests.hook import TREE, output

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'fabric.c')
PORT_PROFILE = 'libvmfex-port-profile.so'

Request = collections.namedtuple('Request', 'host nic operation profile vm')


def compile_port_profile(folder, cflags='-O2 -g -Werror'):
    """Make the library that hosts have for libvirtd, in that folder. Returns its path."""
    library = os.path.join(folder, PORT_PROFILE)
    make = ['make', '-s', '-C', TREE + '/libvirtd', 'build']
    subprocess.run([*make, 'LIBRARY=' + library, 'CFLAGS=' + cflags], check=True)
    return library


def compile_fabric(library):
    """Make the library of a fabric, a file with that path, and the hosts' own library beside it."""
    compile_port_profile(os.path.dirname(library))
    libnl = output('pkg-config', '--cflags', 'libnl-3.0')
    flags = f'-Wall -Wextra -Werror -O2 -fPIC -shared -ldl -lpthread {libnl}'
    subprocess.run(['gcc', SOURCE, '-o', library, *shlex.split(flags)], check=True)


class Fabric:
    """A fabric: its log and its switch are files in a new folder."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder)
        self.forget()

    def requests(self, **fields):
        """Return the requests so far, in order, that have these values in these fields."""
        with open(os.path.join(self.folder, 'log')) as log:
            requests = [Request(*line.rstrip('\n').split('\t')) for line in log]
        return [request for request in requests if fields.items() <= request._asdict().items()]

    def ports(self, host, operation):
        """Return (NIC, port profile, VM's UUID) of each such request of a host."""
        requests = self.requests(host=host.name, operation=operation)
        return [(host.nic_of(request.nic), request.profile, request.vm) for request in requests]

    def forget(self):
        """Start a new log."""
        Path(self.folder, 'log').write_text('')

    def refuse(self, profile):
        Path(self.folder, 'refuse.' + profile).touch()

    def accept(self, profile):
        Path(self.folder, 'refuse.' + profile).unlink()
