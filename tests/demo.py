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
from tests.vdsm_runner import call_hook


def show(title, text):
    title = f'\x1b[1m{title}\x1b[0m' if sys.stdout.isatty() else f'== {title}'
    print(f'\n{title}\n\n{text.rstrip()}')


def mount(*args):
    subprocess.run(['mount', *args], check=True)


def show_start(vm, pool):
    """Run the hook for a VM. Shows what it changes in the NICs, and its log; the file pool gets the pool."""
    custom = {'DEMO_POOL': pool, **({'vmfex': vm.vmfex} if vm.vmfex else {})}
    point, vdsm = os.path.join(HOOKS, 'before_vm_start'), os.path.join(TESTS, 'fake_vdsm', 'demo')
    xml, log = call_hook(point, vm.xml, custom, vm.uuid, vdsm=vdsm)
    changes = difflib.unified_diff(nics(vm.xml), nics(xml), 'from the engine', 'to libvirt', n=2, lineterm='')
    show("The VM's NICs, before and after", '\n'.join(changes))
    show('What the hook logs', log)


def nics(xml):
    """Return the interface elements of a domain, line by line."""
    found = minidom.parseString(xml).getElementsByTagName('interface')
    return '\n'.join(nic.toxml() for nic in found).replace('><', '>\n<').splitlines()


def main():
    with tempfile.TemporaryDirectory() as tmp:
        sysfs = Sysfs(os.path.join(tmp, 'sys'))
        sysfs.add('eth0', device=VNIC)
        for i in range(3, 12):
            sysfs.add(f'eth{i}')
        mount('-t', 'tmpfs', 'tmpfs', '/run')
        os.mkdir('/run/vdsm')
        mount('--bind', sysfs.class_net, '/sys/class/net')

        vm, pool = VM(profiles=(), own=('Profile1',)), os.path.join(tmp, 'pool')
        show(
            'The custom property of a vNIC profile, as it comes in the metadata of a VM',
            re.search('<ovirt-vm:device((?!<ovirt-vm:device).)*vmfex.*?</ovirt-vm:device>', vm.xml).group(),
        )
        show_start(vm, pool)
        vm = VM(1)
        show('The custom property of another VM', 'vmfex=' + vm.vmfex)
        show_start(vm, pool)
        with open(pool) as f:
            show('The network direct-pool, made of the VM-FEX NICs of the example host', f.read())


main()
