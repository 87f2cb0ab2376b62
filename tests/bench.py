# SPDX-License-Identifier: GPL-2.0-or-later
"""
make bench: what the hook costs, as ratios of times taken side by side.

Each time is the median of many runs; the two commands of a ratio take turns. The yardstick of a VM
with the property is a program that does the least a hook can do: import VDSM's modules, connect, look
the network up and read its XML.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from tests.hook import HOOK, HOOKS

PYTHON = '/usr/bin/python3'
YARDSTICK = """\
import hooking, libvirt
from vdsm.common import libvirtconnection
libvirtconnection.get().networkLookupByName('direct-pool').XMLDesc(0)
"""


def measure(env, *commands, runs=60, prepare=lambda: None):
    """Return the median time in seconds of each command; they take turns. prepare is not measured."""
    times = [[] for _ in commands]
    for _ in range(runs):
        for command, taken in zip(commands, times):
            prepare()
            start = time.perf_counter()
            subprocess.run(command, env=env, check=True, stdin=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
            taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def inside():
    """Measure where hooks run. Prints the times of the hook and of the yardstick."""
    path = os.environ['_hook_domxml']
    print(*measure(dict(os.environ), [HOOK], [PYTHON, '-c', YARDSTICK], runs=100,
                   prepare=lambda: shutil.copy(path + '.orig', path)))


def measure_on(host, vm):
    from tests.fake_vdsm.runner import hook_environment

    host.hook('before_vm_start', vm.xml, vm.vmfex)  # now the pool is right
    path = host.path('/run/domxml')
    with open(path + '.orig', 'w') as f:
        f.write(vm.xml)
    output = subprocess.run(
        [*host.hook_command(), PYTHON, __file__, 'inside'], check=True, text=True,
        stdout=subprocess.PIPE,
        env=hook_environment(path, {'vmfex': vm.vmfex}, vm.uuid, host.vdsm)).stdout
    return [float(seconds) for seconds in output.split()]


def report(what, time_, yardstick, limit):
    ratio = time_ / yardstick
    print('{:58} {:6.1f} ms / {:6.1f} ms = {:.2f}  (at most {}){}'.format(
        what, 1000 * time_, 1000 * yardstick, ratio, limit, '' if ratio <= limit else '  TOO SLOW'),
        flush=True)
    return ratio <= limit


def main():
    import libvirt

    from tests.lab.host import Host
    from tests.lab.vm import VM

    env = {key: value for key, value in os.environ.items() if key != 'vmfex'}
    without, bare = measure(env, [HOOK], [PYTHON, '-c', 'pass'], runs=300)
    good = [report('VM without the property / bare interpreter', without, bare, 1.5)]

    from tests.lab.fabric import Fabric, compile_fabric

    with tempfile.TemporaryDirectory(prefix='vmfex-bench-') as tmp:
        library = os.path.join(tmp, 'fabric.so')
        compile_fabric(library)
        fabric = Fabric(os.path.join(tmp, 'fabric'))
        nics = ['eth{}'.format(i) for i in range(3, 12)]
        with Host('bench', nics, os.path.join(tmp, 'host'), HOOKS, library, fabric=fabric) as host:
            few, yardstick = measure_on(host, VM())
            good.append(report('VM with the property / the least a hook can do', few, yardstick, 1.15))
            for i in range(12, 259):
                host.sysfs.add('eth{}'.format(i))
            many, _ = measure_on(host, VM())
            good.append(report('256 NICs in the pool / 9 NICs', many, few, 1.25))

        nics = ['eth{}'.format(i) for i in range(3, 60)]
        with Host('bench', nics, os.path.join(tmp, 'host50'), HOOKS, library,
                  fabric=fabric) as host:
            idle, _ = measure_on(host, VM())
            for number in range(50):
                vm = VM(number, profiles=('P',))
                xml, _ = host.hook('before_vm_start', vm.xml, vm.vmfex)
                # Paused: what the guests do with the processors is not to be measured.
                host.conn.createXML(xml, libvirt.VIR_DOMAIN_START_PAUSED)
            busy, _ = measure_on(host, VM())
            good.append(report('50 VMs on the pool / no VM', busy, idle, 1.1))
    sys.exit(not all(good))


inside() if sys.argv[1:] == ['inside'] else main()
