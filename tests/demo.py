# SPDX-License-Identifier: GPL-2.0-or-later
"""make demo: the real hook on a sample VM and an example host. Runs in a mount namespace of its own."""

import difflib
import os
import re
import sys
import tempfile
from pathlib import Path
from xml.dom import minidom

from tests.hook import HOOKS, TESTS, output
from tests.lab.sysfs import VNIC, Sysfs
from tests.lab.vm import VM
from tests.vdsm_runner import call_hook


def show(title, text):
    title = f'\x1b[1m{title}\x1b[0m' if sys.stdout.isatty() else f'== {title}'
    print(f'\n{title}\n\n{text.rstrip()}')


def show_start(vm, pool):
    """Run the hook for a VM. Shows what it changes in the NICs, and its log; the file pool gets the pool."""
    custom = {'DEMO_POOL': str(pool), 'vmfex': vm.vmfex}
    xml, log = call_hook(f'{HOOKS}/before_vm_start', vm.xml, custom, vm.uuid, vdsm=f'{TESTS}/fake_vdsm/demo')
    changes = difflib.unified_diff(nics(vm.xml), nics(xml), 'from the engine', 'to libvirt', n=2, lineterm='')
    show("The VM's NICs, before and after", '\n'.join(changes))
    show("What the hook logs", log)


def nics(xml):
    """Return the interface elements of a domain, line by line."""
    found = minidom.parseString(xml).getElementsByTagName('interface')
    return '\n'.join(nic.toxml() for nic in found).replace('><', '>\n<').splitlines()


if __name__ == '__main__':
    with tempfile.TemporaryDirectory() as tmp:
        sysfs, pool = Sysfs(f'{tmp}/sys'), Path(tmp, 'pool')
        sysfs.add('eth0', device=VNIC)
        for i in range(3, 12):
            sysfs.add(f'eth{i}')
        output('mount', '-t', 'tmpfs', 'tmpfs', '/run')
        os.mkdir('/run/vdsm')
        output('mount', '--bind', sysfs.class_net, '/sys/class/net')

        vm, other = VM(profiles=(), own=('Profile1',)), VM(1)
        device = re.search('<ovirt-vm:device alias.*?</ovirt-vm:device>', vm.xml).group()
        show("The custom property of a vNIC profile, as it comes in the metadata of a VM", device)
        show_start(vm, pool)
        show("The custom property of another VM", f'vmfex={other.vmfex}')
        show_start(other, pool)
        show("The network direct-pool, made of the VM-FEX NICs of the example host", pool.read_text())
