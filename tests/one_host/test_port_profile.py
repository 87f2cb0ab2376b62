# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels that refuse libvirt's port profile requests, and the library that libvirtd has for them."""

import libvirt
import pytest

from tests.lab.hosts import EL9_VFS, VFS, VNICS
from tests.lab.vm import VM
from tests.messages import matches, rows
from tests.one_host.test_pool import run_test

FAILED, IN_THE_LOG, REFUSED = rows("libvirt's error")
# What is refused without the library: the kernel's checks, and kinds of hosts.
WITHOUT = pytest.mark.parametrize(
    'kinds, checks',
    [((VNICS,) * 2, 'A'), ((VNICS,) * 2, 'B'), ((VNICS,) * 2, 'AB'), ((VFS,) * 2, 'AB')],
    ids=['vnics-A', 'vnics-B', 'vnics-AB', 'vfs-AB'],
    indirect=['kinds'],
)


@pytest.fixture
def without_library(alpha):
    """Restarts alpha's libvirtd without the library, on a kernel with these checks."""

    def restart(checks):
        alpha.checks, alpha.port_profile = checks, False
        alpha.restart_libvirtd()

    return restart


def libvirtds_log(host):
    with open(host.path('/var/log/libvirt/libvirtd.log')) as log:
        return [line.rstrip('\n').rsplit(' : ', 1)[-1] for line in log if ' error : ' in line]


@WITHOUT
def test_without_the_library_the_kernel_refuses_the_vm(fabric, alpha, without_library, checks):
    without_library(checks)
    vm = VM()
    with pytest.raises(libvirt.libvirtError) as error:
        vm.start(alpha)
    assert matches(FAILED, str(error.value))
    assert [line for line in libvirtds_log(alpha) if matches(IN_THE_LOG, line)]
    assert fabric.requests(operation='ASSOCIATE') == []
    assert set(alpha.pool_nics().values()) == {0}


def test_library_is_taken_up_by_a_restart_of_libvirtd(fabric, alpha, without_library):
    without_library('')
    old, new = VM(1), VM(2)
    old.start(alpha)
    alpha.checks, alpha.port_profile = 'AB', True
    alpha.restart_libvirtd()
    assert old.runs_on(alpha)
    new.start(alpha)
    for vm in old, new:
        vm.stop(alpha)
    assert [request.operation for request in fabric.requests()] == ['ASSOCIATE'] * 4 + ['DISASSOCIATE'] * 4


@pytest.mark.parametrize('kinds', [(EL9_VFS,) * 2], ids=[EL9_VFS], indirect=True)
def test_vfs_need_the_library_when_the_kernel_checks_the_port_profiles_size(fabric, alpha):
    vm = VM(profiles=('P',))
    vm.start(alpha)
    vm.stop(alpha)
    alpha.checks = 'AB'
    alpha.restart_libvirtd()
    with pytest.raises(libvirt.libvirtError) as error:
        vm.start(alpha)
    assert matches(FAILED, str(error.value))
    # Such a name has 40 bytes with its end.
    VM(2, profiles=('p' * 39,)).start(alpha)


def test_plug_and_resume_are_refused_as_well(alpha, without_library):
    vm, suspended = VM(1, profiles=()), VM(2, profiles=('P',))
    vm.start(alpha)
    suspended.start(alpha)
    suspended.suspend(alpha)
    without_library('AB')
    vm.add_profile('00:1a:4a:16:01:99', 'P')
    for action in (lambda: vm.plug(alpha, '00:1a:4a:16:01:99'), lambda: suspended.resume(alpha)):
        with pytest.raises(libvirt.libvirtError) as error:
            action()
        assert matches(FAILED, str(error.value))


def test_what_libvirt_says_when_the_fabric_refuses(fabric, alpha):
    fabric.refuse('*')
    with pytest.raises(libvirt.libvirtError) as error:
        VM().start(alpha)
    assert matches(REFUSED, str(error.value))
    assert not matches(FAILED, str(error.value))


@pytest.mark.parametrize(
    'kinds, who', [((VNICS,) * 2, 'dynamic vNICs'), ((VFS,) * 2, 'VFs on EL10')], indirect=['kinds']
)
def test_test_says_what_needs_the_library_and_whether_libvirtd_has_it(alpha, without_library, who):
    line = f'{who} need vdsm-hook-vmfex-libvirt: libvirtd has loaded its library'
    assert line in run_test(alpha, VM().xml)[1]
    without_library('AB')
    assert line.replace('has', 'has not') in run_test(alpha, VM().xml)[1]
    alpha.kill_libvirtd()
    alpha.run('rm', '-f', '/run/libvirtd.pid')
    status, out, [error] = run_test(alpha, VM().xml)
    assert status == 2 and error.startswith('vmfex: libvirt failed: ')
    assert [text for text in out if text.startswith(f'{who} need') and 'No such file or directory' in text]
