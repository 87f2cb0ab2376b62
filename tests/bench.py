# SPDX-License-Identifier: GPL-2.0-or-later
"""
make bench: what the hook costs, as ratios of medians of times that were taken in turns.

So they mean the same on a busy machine. The yardstick of a VM with the property does the least that a
hook can do: it imports VDSM's modules, connects, looks the network up and reads its XML.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import libvirt

from tests.hook import HOOK, HOOKS
from tests.lab.fabric import Fabric, compile_fabric
from tests.lab.hosts import NAMES, Host
from tests.lab.vm import VM
from tests.vdsm_runner import PLAIN, find_vdsm, hook_environment

PYTHON = '/usr/bin/python3'
YARDSTICK = """\
import hooking, libvirt
from vdsm.common import libvirtconnection
libvirtconnection.get().networkLookupByName('direct-pool').XMLDesc(0)
"""
ROUNDS = 100


def make_timer(folder, vm, host=None):
    """Return what times a command with a VM's hooks' environment; on that host (nsenter takes some 2 ms)."""
    prefix, xml = host.command() if host else [], Path(folder, 'domxml')
    path, vdsm = ('/run/domxml', host.vdsm) if host else (str(xml), '')
    env = hook_environment(path, {'vmfex': vm.vmfex}, vm.uuid, vdsm)
    silent = {'stdin': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL}

    def seconds(command):
        xml.write_text(vm.xml)
        start = time.perf_counter()
        subprocess.run([*prefix, *command], check=True, env=env, **silent)
        return time.perf_counter() - start

    return seconds


def make_hosts(stack, tmp, vm):
    """Return hosts with 9 NICs, 256 NICs, 57 NICs, and 57 NICs with 50 VMs on them, all right for the VM."""
    library = os.path.join(tmp, 'fabric.so')
    compile_fabric(library)
    fabric, hosts = Fabric(os.path.join(tmp, 'fabric')), []
    for name, number in zip(NAMES, (9, 256, 57, 57)):
        pool = [f'eth{i}' for i in range(3, 3 + number)]
        hosts.append(Host(name, os.path.join(tmp, name), HOOKS, library, fabric, pool))
        stack.enter_context(hosts[-1])
        hosts[-1].hook('before_vm_start', vm.xml, vm.vmfex)
    for number in range(50):
        guest = VM(number + 1, profiles=('P',))
        xml, _ = hosts[3].hook('before_vm_start', guest.xml, guest.vmfex)
        # Paused, so that the guests use no CPU time.
        hosts[3].conn.createXML(xml, libvirt.VIR_DOMAIN_START_PAUSED)
    return hosts


# what is measured: (by which command, with which yardstick, ratio at most)
RATIOS = {
    'VM with 20 NICs and no property / bare interpreter': ('without', 'bare', 1.1),
    'VM with the property / the least a hook can do': ('few', 'least', 1.25),
    '256 NICs in the pool / 9 NICs': ('many', 'few', 1.4),
    '50 VMs on the pool / no VM': ('busy', 'idle', 1.1),
}


def main():
    if find_vdsm() == PLAIN:
        sys.exit("make bench: its limits are for VDSM's own modules: install VDSM, or set VDSM_LIB")
    vm = VM()
    with contextlib.ExitStack() as stack:
        tmp = stack.enter_context(tempfile.TemporaryDirectory(prefix='vmfex-bench-'))
        timers = {'without': make_timer(tmp, VM(profiles=(), nics=20))}
        for name, host in zip(('few', 'many', 'idle', 'busy'), make_hosts(stack, tmp, vm)):
            timers[name] = make_timer(host.path('/run'), vm, host)
        commands = {name: (timer, [HOOK]) for name, timer in timers.items()}
        commands['bare'] = timers['without'], [PYTHON, '-c', 'pass']
        commands['least'] = timers['few'], [PYTHON, '-c', YARDSTICK]
        times = {name: [] for name in commands}
        for _ in range(ROUNDS):
            for name, (timer, command) in commands.items():
                times[name].append(timer(command))
    slow = False
    for what, (measured, yardstick, limit) in RATIOS.items():
        took, least = (1000 * statistics.median(times[name]) for name in (measured, yardstick))
        slow = slow or took / least > limit
        line = f'{what:52} {took:6.1f} ms / {least:6.1f} ms = {took / least:.2f}  (at most {limit})'
        print(line, 'TOO SLOW' if took / least > limit else '')
    sys.exit(slow)


if __name__ == '__main__':
    main()
