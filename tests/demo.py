# SPDX-License-Identifier: GPL-2.0-or-later
"""make demo: the real hook on a sample VM and an example host. Runs in a mount namespace of its own."""

import difflib
import os
import re
import subprocess
import sys
import tempfile
from xml.dom import minidom

from tests.hook import HOOKS, TESTS
from tests.lab.sysfs import VNIC, Sysfs
from tests.lab.vm import VM
from tests.vdsm_runner import run_hooks


def show(title, text):
    print(
        f'\n\x1b[1m{title}\x1b[0m\n\n{text.rstrip()}'
        if sys.stdout.isatty()
        else f'\n== {title}\n\n{text.rstrip()}'
    )


def mount(*args):
    subprocess.run(['mount', *args], check=True)


def run(vm, pool):
    """Run the hook for a VM. Returns what it changes in the NICs, its log, and the pool."""
    environment = {'DEMO_POOL': pool}
    if vm.vmfex:
        environment['vmfex'] = vm.vmfex
    xml, log = run_hooks(
        os.path.join(HOOKS, 'before_vm_start'),
        vm.xml,
        environment,
        vm.uuid,
        vdsm=os.path.join(TESTS, 'fake_vdsm', 'demo'),
    )
    with open(pool) as f:
        pool = f.read()
    changes = difflib.unified_diff(nics(vm.xml), nics(xml), 'from the engine', 'to libvirt', n=2, lineterm='')
    return '\n'.join(changes), log, pool


def nics(xml):
    """Return the interface elements of a domain, line by line."""
    found = minidom.parseString(xml).getElementsByTagName('interface')
    return '\n'.join(nic.toxml() for nic in found).replace('><', '>\n<').splitlines()


def main():
    with tempfile.TemporaryDirectory() as tmp:
        sysfs = Sysfs(os.path.join(tmp, 'sys'))
        sysfs.add('eth0', '00:25:b5:00:00:01', device=VNIC)
        sysfs.add('ovirtmgmt', '00:25:b5:00:00:01', vendor=None)
        for i in range(3, 12):
            sysfs.add(f'eth{i}')
        mount('-t', 'tmpfs', 'tmpfs', '/run')
        os.mkdir('/run/vdsm')
        for folder in 'class/net', 'devices':
            mount('--bind', os.path.join(sysfs.root, folder), '/sys/' + folder)

        vm = VM(profiles=(), own=('Profile1',))
        diff, log, _ = run(vm, os.path.join(tmp, 'pool'))
        show(
            'The custom property of a vNIC profile, as it comes in the metadata of a VM',
            re.search('<ovirt-vm:device((?!<ovirt-vm:device).)*vmfex.*?</ovirt-vm:device>', vm.xml).group(),
        )
        show("The VM's NICs, before and after", diff)
        show('What the hook logs', log)

        vm = VM(1)
        diff, log, pool = run(vm, os.path.join(tmp, 'pool'))
        show('The custom property of another VM', 'vmfex=' + vm.vmfex)
        show("The VM's NICs, before and after", diff)
        show('What the hook logs', log)
        show('The network direct-pool, made of the VM-FEX NICs of the example host', pool)


main()
