# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels that refuse libvirt's port profile requests, and the library that libvirtd has for them."""

import libvirt
import pytest

from tests.lab.fabric import PORT_PROFILE
from tests.lab.hosts import VFS, VNICS
from tests.lab.kinds import ON_VFS
from tests.lab.vm import VM
from tests.messages import matches, rows

FAILED, IN_THE_LOG, *_ = rows("libvirt's error")


def restart(host, checks, port_profile):
    """Restart libvirtd with or without the library, on a kernel with these checks."""
    host.checks, host.port_profile = checks, port_profile
    host.restart_libvirtd()


@pytest.mark.parametrize(
    'kinds, checks', [((VNICS, VNICS), 'A'), ((VNICS, VNICS), 'B'), ((VFS, VFS), 'AB')], indirect=['kinds']
)
def test_without_the_library_the_kernel_refuses_a_port_profile(fabric, alpha, checks):
    restart(alpha, checks, port_profile=False)
    with pytest.raises(libvirt.libvirtError) as error:
        VM().start(alpha)
    assert matches(FAILED, str(error.value))
    with open(alpha.path('/var/log/libvirt/libvirtd.log')) as log:
        assert any(matches(IN_THE_LOG, line.rstrip('\n').rsplit(' : ', 1)[-1]) for line in log)
    assert fabric.requests(operation='ASSOCIATE') == []
    assert set(alpha.pool_nics().values()) == {0}


@ON_VFS
def test_vfs_need_no_library_unless_the_kernel_checks_the_port_profiles_size(alpha):
    restart(alpha, 'A', port_profile=False)
    VM(1).start(alpha)
    restart(alpha, 'AB', port_profile=False)
    VM(2, profiles=('p' * 39,)).start(alpha)  # which has 40 bytes with its end


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
    qemu = f'/proc/{alpha.run("pgrep", "qemu").strip()}/'
    assert PORT_PROFILE not in alpha.run('cat', qemu + 'maps')
    assert f'LD_PRELOAD={alpha.library}' in alpha.run('cat', qemu + 'environ').split('\0')  # the fabric's
