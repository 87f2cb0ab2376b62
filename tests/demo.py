# SPDX-License-Identifier: GPL-2.0-or-later
"""make demo: the real hook on a sample VM and an example host. Runs in a mount namespace of its own."""

import difflib
import os
import subprocess
import sys
import tempfile

from tests.fake_vdsm.runner import run_hooks
from tests.hook import HOOKS, TESTS
from tests.lab.sysfs import VNIC, Sysfs
from tests.lab.vm import VM


def show(title, text):
    print('\n\033[1m{}\033[0m\n\n{}'.format(title, text.rstrip()) if sys.stdout.isatty()
          else '\n== {}\n\n{}'.format(title, text.rstrip()))


def mount(*args):
    subprocess.run(['mount', *args], check=True)


def main():
    vm = VM()
    with tempfile.TemporaryDirectory() as tmp:
        sysfs = Sysfs(os.path.join(tmp, 'sys'))
        sysfs.add('eth0', '00:25:b5:00:00:01', device=VNIC)
        sysfs.add('ovirtmgmt', '00:25:b5:00:00:01', vendor=None)
        for i in range(3, 12):
            sysfs.add('eth{}'.format(i))
        pool = os.path.join(tmp, 'pool')
        mount('-t', 'tmpfs', 'tmpfs', '/run')
        os.mkdir('/run/vdsm')
        for folder in 'class/net', 'devices':
            mount('--bind', os.path.join(sysfs.root, folder), '/sys/' + folder)
        xml, log = run_hooks(os.path.join(HOOKS, 'before_vm_start'), vm.xml,
                             {'vmfex': vm.vmfex, 'DEMO_POOL': pool}, vm.uuid,
                             vdsm=os.path.join(TESTS, 'fake_vdsm', 'demo'))
        with open(pool) as f:
            pool = f.read()

    show('The custom property of the VM', 'vmfex=' + vm.vmfex)
    show('The NICs of the VM, before and after', ''.join(difflib.unified_diff(
        vm.xml.splitlines(True), xml.splitlines(True), 'from the engine', 'to libvirt', n=2)))
    show('The network direct-pool, made of the VM-FEX NICs of the example host', pool)
    show('What vdsm.log says', log)


main()
