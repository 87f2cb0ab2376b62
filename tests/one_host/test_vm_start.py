# SPDX-License-Identifier: GPL-2.0-or-later
"""VMs really start on 802.1Qbh: what the README promises for one host."""

import concurrent.futures
import re
from collections import Counter

import libvirt
import pytest

from tests.lab.kinds import ON_BOTH_KINDS
from tests.lab.vm import VM
from tests.vdsm_runner import HookError


@ON_BOTH_KINDS
def test_vm_starts_on_its_port_profiles_and_stops(fabric, alpha):
    vm = VM()
    vm.start(alpha)
    names = vm.vic_nics(alpha)
    assert names == dict(zip(vm.profiles, ('eth3', 'eth4')))
    assert fabric.ports(alpha, 'ASSOCIATE') == vm.ports(names)
    for mac, name in names.items():
        assert alpha.mac(name) == mac
    for mac in vm.macs[2:]:
        nic = vm.nics(alpha)[mac]
        assert (nic.get('type'), nic.find('source').get('bridge')) == ('bridge', 'ovirtmgmt')
    assert len(fabric.requests()) == 2

    vm.stop(alpha)
    assert fabric.ports(alpha, 'DISASSOCIATE') == [('eth3', '-', '-'), ('eth4', '-', '-')]
    assert alpha.idle_nics() == alpha.pool
    assert set(alpha.pool_nics().values()) == {0}


@ON_BOTH_KINDS
def test_suspended_vm_resumes_on_a_host_that_lost_its_pool(fabric, alpha):
    vm = VM()
    vm.start(alpha)
    vm.suspend(alpha)
    assert alpha.idle_nics() == alpha.pool
    alpha.restart_libvirtd()
    pool = alpha.net
    pool.destroy()
    pool.undefine()
    fabric.forget()

    assert 'direct-pool started' in vm.resume(alpha)
    assert fabric.ports(alpha, 'ASSOCIATE') == vm.ports(vm.vic_nics(alpha))
    assert vm.runs_on(alpha)


@ON_BOTH_KINDS
def test_first_vm_start_puts_the_pool_right_after_a_reboot_with_renamed_nics(fabric, alpha):
    vm = VM()
    vm.start(alpha)
    alpha.reboot({f'eth{i}': f'eth{i + 1}' for i in range(3, 12)}, own='eth3')
    own = alpha.mac('eth3')
    assert list(alpha.pool_nics())[0] == 'eth3'  # autostarted, and waiting for a VM

    log = alpha.hook('before_vm_start', vm.xml, vm.vmfex)[1]
    assert 'direct-pool stopped' in log and 'direct-pool started' in log
    assert list(alpha.pool_nics()) == alpha.next_pool_nics() == alpha.pool
    vm.on(alpha).create()
    assert sorted(vm.vic_nics(alpha).values()) == ['eth4', 'eth5']
    assert alpha.mac('eth3') == own


def test_nics_that_come_while_a_vm_is_on_the_pool_are_used_after_the_last_vm_left(fabric, alpha):
    vms = [VM(number, profiles=('P',)) for number in range(11)]
    vms[0].start(alpha)
    alpha.add_nic('eth12')
    alpha.pool.append('eth12')
    for vm in vms[1:9]:
        vm.start(alpha)
        assert vms[0].runs_on(alpha) and alpha.mac('eth3') == vms[0].macs[0]
    on = [nic for vm in vms[:9] for nic in vm.vic_nics(alpha).values()]
    assert sorted(on) == sorted(alpha.pool[:9])  # all, and none twice
    with pytest.raises(HookError, match='has 0 free NICs of 9, this VM needs 1'):
        vms[9].start(alpha)
    assert fabric.requests(operation='DISASSOCIATE') == []

    for vm in vms[:9]:
        vm.stop(alpha)
    for vm in vms[:10]:
        vm.start(alpha)
    assert sorted(nic for vm in vms[:10] for nic in vm.vic_nics(alpha).values()) == sorted(alpha.pool)


@ON_BOTH_KINDS
def test_ten_vms_at_once_on_a_host_with_no_pool(fabric, alpha):
    for i in range(12, 23):
        alpha.add_nic(f'eth{i}')
    vms = [VM(number) for number in range(10)]
    with concurrent.futures.ThreadPoolExecutor(len(vms)) as executor:
        logs = list(executor.map(lambda vm: vm.start(alpha), vms))
    assert len(re.findall('direct-pool started', ''.join(logs))) == 1
    on = Counter(nic for vm in vms for nic in vm.vic_nics(alpha).values())
    assert on == Counter(f'eth{i}' for i in range(3, 23))
    associated = fabric.requests(operation='ASSOCIATE')
    assert sorted((request.vm, request.profile) for request in associated) == sorted(
        (vm.uuid, profile) for vm in vms for profile in vm.profiles.values()
    )


@ON_BOTH_KINDS
def test_refused_profile_stops_the_start_with_libvirts_message(fabric, alpha):
    vm = VM()
    fabric.refuse('Profile2')
    with pytest.raises(libvirt.libvirtError, match='error .* during port-profile setlink'):
        vm.start(alpha)
    assert [(request.profile, request.answer) for request in fabric.requests(operation='ASSOCIATE')] == [
        ('Profile1', 'success'),
        ('Profile2', 'refused'),
    ]
    assert set(alpha.pool_nics().values()) == {0}
    fabric.refuse(None)
    vm.start(alpha)


@ON_BOTH_KINDS
def test_slow_fabric_is_waited_for(fabric, alpha):
    vm = VM(profiles=('P',))
    fabric.be_slow(2)
    vm.start(alpha)
    assert [request.answer for request in fabric.requests()] == ['success']


@pytest.mark.parametrize(
    'vmfex',
    [
        '''{"00:1a:4a:16:00:51": "a&b<'"}''',
        '''{"00:1a:4a:16:00:51": "P'/></virtualport><filterref filter='x'/><x y='"}''',
        '''{"00:1a:4a:16:00:51'/><source bridge='ovirtmgmt": "P"}''',
    ],
    ids=['entity', 'element', 'mac'],
)
def test_names_that_inject_xml_never_reach_libvirt(fabric, alpha, vmfex):
    vm = VM()
    vm.vmfex = vmfex
    with pytest.raises(HookError, match='^vmfex: custom property vmfex'):
        vm.start(alpha)
    assert alpha.conn.listAllDomains() == alpha.conn.listAllNetworks() == []


def test_vm_whose_vnic_profiles_have_port_profiles_starts_and_resumes(fabric, alpha):
    vm = VM(profiles=(), own=('Own1', 'Own2'))
    vm.start(alpha)
    assert fabric.ports(alpha, 'ASSOCIATE') == vm.ports(vm.vic_nics(alpha))
    vm.suspend(alpha)
    assert vm.resume(alpha) == ''
    assert len(vm.vic_nics(alpha)) == 2
