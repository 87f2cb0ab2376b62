# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels that refuse libvirt's port profile requests, and the library that libvirtd has for them."""

import contextlib

import libvirt
import pytest

from tests.lab.fabric import PORT_PROFILE
from tests.lab.kinds import ON_VFS
from tests.lab.vm import VM
from tests.messages import matches, rows
from tests.xml_builders import PLUGGED

FAILED, IN_THE_LOG, *_ = rows("libvirt's error")


def restart(host, checks, port_profile):
    """Restart libvirtd with or without the library, on a kernel with these checks."""
    host.checks, host.port_profile = checks, port_profile
    host.restart_libvirtd()


@contextlib.contextmanager
def refused_by_the_kernel():
    with pytest.raises(libvirt.libvirtError) as error:
        yield
    assert matches(FAILED, str(error.value))


@pytest.mark.parametrize('checks', ['A', 'B'])
def test_without_the_library_each_check_of_the_kernel_refuses_dynamic_vnics(fabric, alpha, checks):
    vm, bridged, suspended = VM(), VM(1, profiles=()), VM(2, profiles=('P',))
    bridged.start(alpha)
    suspended.start(alpha)
    suspended.suspend(alpha)
    restart(alpha, checks, port_profile=False)
    fabric.forget()
    with refused_by_the_kernel():
        vm.start(alpha)
    with refused_by_the_kernel():
        bridged.plug(alpha, PLUGGED, 'P')
    with refused_by_the_kernel():
        suspended.resume(alpha)
    with open(alpha.path('/var/log/libvirt/libvirtd.log')) as log:
        errors = [line.rstrip('\n').rsplit(' : ', 1)[-1] for line in log if ' error : ' in line]
    assert [line for line in errors if matches(IN_THE_LOG, line)]
    assert fabric.requests(operation='ASSOCIATE') == []
    assert set(alpha.pool_nics().values()) == {0}


def test_library_is_taken_up_by_a_restart_of_libvirtd(fabric, alpha):
    restart(alpha, '', port_profile=False)
    old, new = VM(1), VM(2)
    old.start(alpha)
    restart(alpha, 'AB', port_profile=True)
    assert old.runs_on(alpha)
    new.start(alpha)
    for vm in old, new:
        vm.stop(alpha)
    assert [request.operation for request in fabric.requests()] == ['ASSOCIATE'] * 4 + ['DISASSOCIATE'] * 4


def test_no_child_of_libvirtd_has_the_library(alpha):
    VM().start(alpha)
    for name, has_it in ('libvirtd', True), ('qemu-system-x86', False):
        process = f'/proc/{alpha.run("pgrep", "-x", name).strip()}/'
        assert (PORT_PROFILE in alpha.run('cat', process + 'maps')) == has_it
    environment = alpha.run('cat', process + 'environ').split('\0')
    assert f'LD_PRELOAD={alpha.library}' in environment  # that of the fabric


@ON_VFS
def test_vfs_need_the_library_when_the_kernel_checks_the_port_profiles_size(alpha):
    vm = VM(profiles=('P',))
    restart(alpha, 'A', port_profile=False)
    vm.start(alpha)
    vm.stop(alpha)
    restart(alpha, 'AB', port_profile=False)
    with refused_by_the_kernel():
        vm.start(alpha)
    # Such a name has 40 bytes with its end.
    VM(2, profiles=('p' * 39,)).start(alpha)


def test_test_says_whether_libvirtd_has_the_library_and_fails_if_not(alpha):
    vm, line = VM(), 'libvirtd has loaded the library of vdsm-hook-vmfex-libvirt'
    status, out, err = alpha.dry_run(vm.xml, vm.vmfex)
    assert (status, err) == (0, []) and line in out
    restart(alpha, 'AB', port_profile=False)
    status, out, err = alpha.dry_run(vm.xml, vm.vmfex)
    line = line.replace('has', 'has not')
    assert status == 2 and line in out and 'would log: vmfex: direct-pool started' in out
    assert err == [
        f'vmfex: {line}: put this host into maintenance, install it, then systemctl restart libvirtd'
    ]
    alpha.kill_libvirtd()
    alpha.run('rm', '-f', '/run/libvirtd.pid')
    status, out, [error] = alpha.dry_run(vm.xml, vm.vmfex)
    assert status == 2 and error.startswith('vmfex: libvirt failed: ')
    assert [text for text in out if 'is unknown (neither libvirtd nor virtqemud runs)' in text]
