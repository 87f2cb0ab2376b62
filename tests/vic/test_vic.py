# SPDX-License-Identifier: GPL-2.0-or-later
"""VMs on the VIC's real driver: Debian's kernel in a machine whose VIC is the tests' own."""

import contextlib
import os
import subprocess
import tempfile
import time

import libvirt
import pytest

from tests.hook import TREE
from tests.lab import guest
from tests.lab.vm import VM
from tests.vic.firmware import Fabric, Vnic
from tests.vic.machine import Machine
from tests.xml_builders import PLUGGED, UNFIT, engine_nic_xml

LIBRARY = os.path.join(TREE, 'build', 'libvmfex-port-profile.so')
T=[time.time()]
def lap(what):
    t=time.time(); print('LAP %-30s %.1f' % (what, t-T[0]), flush=True); T[0]=t


@pytest.fixture(scope='module')
def fabric():
    return Fabric()


@pytest.fixture(scope='module')
def machines(fabric, hooks_by_make):
    os.unshare(os.CLONE_NEWNET)
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
    with tempfile.TemporaryDirectory(prefix='vmfex-vic-') as shared, contextlib.ExitStack() as stack:
        tempfile.tempdir = shared
        machines = []
        for number, name in enumerate(('alpha', 'beta')):
            macs = ['00:25:b5:00:{:02x}:01'.format(number), None, None, None]
            vnics = [Vnic('{}/{}-{}'.format(shared, name, i), fabric, mac) for i, mac in enumerate(macs)]
            machines.append(stack.enter_context(Machine(name, shared, vnics, hooks_by_make)))
        for machine in machines:
            machine.wait_until_up()
        yield machines
        tempfile.tempdir = None


def test_x(machines, fabric):
    lap('up')
    alpha, beta = machines
    alpha.start_libvirtd(LD_PRELOAD=LIBRARY)
    lap('libvirtd')
    import threading
    threading.Thread(target=beta.start_libvirtd, kwargs=dict(LD_PRELOAD=LIBRARY)).start()
    vm = VM(profiles=('Profile1',), nics=2)
    kernel = sorted(__import__('glob').glob('/boot/vmlinuz-*'))[-1]
    os.mkdir(tempfile.tempdir + '/guest')
    boot = guest.BOOT.format(kernel=kernel, initrd=guest.make_initrd(tempfile.tempdir + '/guest', kernel))
    vm.xml = vm.xml.replace('<smbios', boot + '<smbios', 1).replace('<memory>32768', '<memory>131072')
    try:
        print(vm.start(alpha))
        lap('start')
        print(vm.vic_nics(alpha))
        vnic = alpha.nics[vm.vic_nics(alpha)[vm.macs[0]]]
        print(vnic.requests)
        vm.add_profile(PLUGGED, 'Plugged')
        print(vm.plug(alpha, PLUGGED, extra=UNFIT))
        lap('plug')
        for link in 'down', 'up':
            print(vm.update(alpha, engine_nic_xml(vm.macs[0], link=link, extra=UNFIT)))
        lap('link')
        fabric.refused.add('Refused')
        bad = VM(1, profiles=('Refused',), nics=1)
        with pytest.raises(libvirt.libvirtError) as e:
            bad.start(alpha)
        print(e.value)
        lap('refused')
        fabric.wait_for(lambda: '33:33:ff:00:00:51' in vnic.addresses, 200)
        print(vnic.addresses)
        lap('group')
        while not beta.conn: time.sleep(.1)
        lap('beta')
        print(vm.migrate(alpha, beta))
        lap('migrated')
        vnic2 = beta.nics[vm.vic_nics(beta)[vm.macs[0]]]
        print(vnic.requests, vnic.addresses, vnic2.requests, vnic2.addresses)
        vm.stop(beta)
        lap('stopped')
        print(vnic2.requests, vnic2.addresses)
    except Exception as e:
        print(repr(e))
        print(alpha.run('dmesg')[-3000:])
        print(alpha.run('sh', '-c', 'cat {}/libvirtd.log; cat /var/log/libvirt/qemu/*.log; ip link'.format(alpha.folder))[-8000:])
        raise
