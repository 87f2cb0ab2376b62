# SPDX-License-Identifier: GPL-2.0-or-later
"""A lab: two hosts, or more, on a fabric."""

import contextlib
import os

from fabric import Fabric
from host import Host

# The NICs have other names on each host: eth3 to eth11, eth13 to eth21, ...
NAMES = ('alpha', 'beta')


class Lab:
    """
    A fabric and a host for each name, in a new folder. The hosts are in hosts, by name.

    library is that of the fabric (see compile_fabric), hooks the folder with the hook points.
    """

    def __init__(self, folder, library, hooks, names=NAMES):
        self.fabric = Fabric(os.path.join(folder, 'fabric'))
        self.hosts = {name: Host(name, ['eth{}'.format(10 * i + j) for j in range(3, 12)],
                                 os.path.join(folder, name), hooks, library, i, self.fabric)
                      for i, name in enumerate(names)}

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            for host in self.hosts.values():
                stack.enter_context(host)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc):
        self._stack.close()
