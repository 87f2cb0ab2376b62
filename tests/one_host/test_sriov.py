# SPDX-License-Identifier: GPL-2.0-or-later
"""Hosts whose VM-FEX NICs are VFs: eth3, eth5, ... of the first PF, eth4, eth6, ... of the second."""

import subprocess

import libvirt
import pytest

from tests.hook import HOOK
from tests.lab.hosts import ALPHA, PFS
from tests.lab.kinds import ON_VFS
from tests.lab.vm import VM
from tests.vdsm_runner import HookError, hook_environment

pytestmark = ON_VFS
FIRST, SECOND = ALPHA[0::2], ALPHA[1::2]
NO_MORE = 'start it on another host, or give this one more dynamic vNICs or VFs'


def start_all(host, number):
    vms = [VM(n, profiles=('P',)) for n in range(number)]
    for vm in vms:
        vm.start(host)
    return vms, [nic for vm in vms for nic in vm.vic_nics(host).values()]


def test_vfs_of_two_pfs_are_one_pool_and_the_fabric_hears_of_pf_and_number(fabric, alpha):
    _, nics = start_all(alpha, 9)
    assert nics == ALPHA
    assert [request.nic for request in fabric.requests(operation='ASSOCIATE')] == [
        '{}/{}'.format(PFS[i % 2], i // 2) for i in range(9)
    ]
    with pytest.raises(HookError, match='has 0 free NICs of 9, this VM needs 1: start it on'):
        VM(9, profiles=('P',)).start(alpha)


def test_libvirt_would_refuse_a_vf_whose_pf_is_down(alpha):
    """This is why the hook looks at PFs."""
    vm = VM(profiles=('P',))
    xml, _ = alpha.hook('before_vm_start', vm.xml, vm.vmfex)
    alpha.set_pf(PFS[0], 'down')
    with pytest.raises(libvirt.libvirtError, match='PF is not online'):
        alpha.conn.defineXML(xml).create()


def test_vfs_whose_pf_is_down_come_last_and_are_back_at_once(alpha):
    alpha.set_pf(PFS[0], 'down')
    vms, nics = start_all(alpha, 4)
    assert nics == SECOND
    assert list(alpha.pool_nics()) == SECOND + FIRST
    with pytest.raises(HookError) as error:
        VM(5, profiles=('P',)).start(alpha)
    assert str(error.value) == 'vmfex: direct-pool has 0 free NICs of 4, this VM needs 1: {}{}\n'.format(
        NO_MORE, ''.join('; PF {} of {} is down'.format(PFS[0], nic) for nic in FIRST)
    )
    alpha.set_pf(PFS[0], 'up')
    vm = VM(5, profiles=('P',))
    assert 'direct-pool' not in vm.start(alpha)
    assert list(vm.vic_nics(alpha).values()) == FIRST[:1]


def test_pf_that_goes_down_while_nobody_is_on_the_pool(alpha):
    vms, _ = start_all(alpha, 1)
    vms[0].stop(alpha)
    alpha.set_pf(PFS[0], 'down')
    assert 'direct-pool started' in vms[0].start(alpha)
    assert list(vms[0].vic_nics(alpha).values()) == SECOND[:1]


def test_pf_that_goes_down_while_vms_are_on_the_pool(fabric, alpha):
    """The order of a pool in use can't change, and libvirt takes the first VF."""
    vms, nics = start_all(alpha, 1)
    assert nics == FIRST[:1]
    alpha.set_pf(PFS[1], 'down')
    before, requests = alpha.pool_xml(), fabric.requests()
    with pytest.raises(HookError) as error:
        VM(2).start(alpha)
    assert error.value.says('direct-pool would give VMs eth4, which is not a usable VM-FEX NIC; it')
    assert '; PF {} of eth4 is down; PF {} of eth6 is'.format(PFS[1], PFS[1]) in str(error.value)
    assert (alpha.pool_xml(), fabric.requests()) == (before, requests)
    VM(3, profiles=()).start(alpha)  # which needs none
    alpha.set_pf(PFS[1], 'up')
    VM(2).start(alpha)


def test_each_vf_whose_pf_is_down_is_named(alpha):
    for pf in PFS:
        alpha.set_pf(pf, 'down')
    with pytest.raises(HookError) as error:
        VM().start(alpha)
    down = ['PF {} of {} is down'.format(PFS[i % 2], nic) for i, nic in enumerate(ALPHA)]
    assert str(error.value).endswith(
        'has 0 free NICs of 0, this VM needs 2: ' + '; '.join([NO_MORE, *down]) + '\n'
    )
    env = hook_environment(vdsm=alpha.vdsm)
    done = subprocess.run([*alpha.hook_command(), HOOK, '--test'], env=env, stdout=subprocess.PIPE, text=True)
    assert ['not usable: ' + fault for fault in down] == [
        line for line in done.stdout.splitlines() if line.startswith('not usable')
    ]


def test_vf_that_goes_away_leaves_the_pool(alpha):
    vms, _ = start_all(alpha, 1)
    vms[0].stop(alpha)
    alpha.remove_nic('eth3')
    vms[0].start(alpha)
    assert list(vms[0].vic_nics(alpha).values()) == ['eth4']
    assert list(alpha.pool_nics()) == ALPHA[1:]
