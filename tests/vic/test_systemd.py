# SPDX-License-Identifier: GPL-2.0-or-later
"""
libvirtd's library on a host: systemd starts libvirtd, and SELinux enforces Debian's policy.

The tests are one story: they run in this order, on the same machine.
"""

import glob

import pytest

from tests.lab.fabric import PORT_PROFILE, compile_port_profile
from tests.vic.systemd_machine import POLICY, SystemdMachine, find_missing, has_deny, make_image

pytestmark = pytest.mark.timeout(900)  # without KVM, and on a machine with other work


@pytest.fixture(scope='module')
def machine(tmp_path_factory):
    missing, kernels = find_missing(), sorted(glob.glob('/boot/vmlinuz-*'))
    if missing or not kernels:
        pytest.skip('not installed: ' + ', '.join(missing or ['a kernel']))
    folder = str(tmp_path_factory.mktemp('systemd'))
    with SystemdMachine(folder, kernels[-1], make_image(folder, compile_port_profile(folder))) as machine:
        machine.wait_until_up()
        machine.run('setsebool', 'virt_use_execmem', '1')  # for QEMU without KVM
        yield machine


@pytest.fixture(scope='module')
def libvirtd(machine):
    return machine.restart_libvirtd()


def test_selinux_enforces_its_policy(machine):
    assert machine.run('getenforce') == 'Enforcing\n'


def test_library_has_its_label(machine):
    assert ':lib_t:' in machine.run('stat', '--format', '%C', machine.library)
    assert machine.run('restorecon', '-F', '-n', '-v', machine.library) == ''


def test_libvirtd_has_the_library(machine, libvirtd):
    assert machine.run('cat', '/run/libvirtd.pid') == libvirtd.pid  # where the hook's --test looks
    assert libvirtd.context.startswith('system_u:system_r:virtd_t:')
    assert libvirtd.environment['LD_PRELOAD'] == PORT_PROFILE
    assert not libvirtd.at_secure
    assert libvirtd.has_library


def test_qemu_has_neither_the_library_nor_its_name(machine, libvirtd):
    qemu = machine.start_vm()
    assert qemu.context.startswith('system_u:system_r:svirt')
    assert 'LD_PRELOAD' not in qemu.environment
    assert not qemu.has_library


@pytest.fixture(scope='module')
def at_secure(machine):
    if not has_deny():
        pytest.skip('policycoreutils has no deny rules: 3.6 has')
    machine.run('sh', '-c', f'cp {POLICY}/at_secure {POLICY}/policy/policy.*; load_policy')


@pytest.mark.parametrize('mode', ['755', '4644'])
def test_with_at_secure_the_library_needs_the_set_user_id_bit(machine, at_secure, mode):
    machine.run('chmod', mode, machine.library)
    libvirtd = machine.restart_libvirtd()
    assert libvirtd.at_secure
    assert libvirtd.has_library == (mode == '4644')


def test_no_denial_names_the_library(machine):
    denials = [line for line in machine.run('dmesg').splitlines() if 'avc:  denied' in line]
    assert denials
    assert not [denial for denial in denials if PORT_PROFILE in denial]
