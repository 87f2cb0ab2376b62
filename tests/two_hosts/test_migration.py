# SPDX-License-Identifier: GPL-2.0-or-later
"""VMs really migrate: what the README promises for two hosts."""

import libvirt
import pytest

from tests.lab.kinds import ON_ALL_PAIRS, ON_BOTH_KINDS
from tests.lab.networks import network_xml
from tests.lab.vm import VM
from tests.vdsm_runner import HookError
from tests.xml_builders import UNFIT, engine_nic_xml


@ON_ALL_PAIRS
def test_vm_migrates_there_and_back_live(fabric, alpha, beta):
    vm = VM()
    vm.start(alpha)
    definition = vm.definition(alpha)
    assert beta.conn.listAllNetworks() == []
    for source, destination in ((alpha, beta), (beta, alpha)):
        before = vm.vic_nics(source)
        fabric.forget()
        vm.migrate(source, destination)
        names = vm.vic_nics(destination)
        assert sorted(names.values()) == destination.pool[:2]
        assert fabric.ports(destination, 'PREASSOCIATE_RR') == vm.ports(names)
        assert fabric.ports(destination, 'ASSOCIATE') == vm.ports(names)
        assert [nic for nic, _, _ in fabric.ports(source, 'DISASSOCIATE')] == list(before.values())
        assert len(fabric.requests()) == 6
        assert vm.runs_on(destination) and not vm.runs_on(source)
        assert vm.on(destination).state() == [libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_MIGRATED]
        assert source.idle_nics() == source.pool
        assert vm.definition(destination) == definition


def broken_pool(host, vm):
    host.conn.networkDefineXML(network_xml(['eth13'], mode='bridge'))
    return "is not the hook's, its forward mode is bridge"


def too_few_nics(host, vm):
    for nic in host.pool[1:]:
        host.sysfs.make_own(nic)
    return 'has 1 free NIC of 1, this VM needs 2'


def no_nics(host, vm):
    for nic in host.pool:
        host.remove_nic(nic)
    return 'has 0 free NICs of 0, this VM needs 2'


def used_nics(host, vm):
    for number in range(1, 5):
        VM(number).start(host)
    return 'has 1 free NIC of 9, this VM needs 2'


@pytest.mark.parametrize('spoil', [broken_pool, too_few_nics, no_nics, used_nics])
def test_migration_to_a_host_that_cannot_take_the_vm_is_refused_before_it_begins(fabric, alpha, beta, spoil):
    vm = VM()
    vm.start(alpha)
    says = spoil(beta, vm)
    before = len(fabric.requests())
    with pytest.raises(HookError, match=says):
        vm.migrate(alpha, beta)
    assert vm.runs_on(alpha)
    assert len(fabric.requests()) == before
    assert alpha.pool_nics()['eth3'] == alpha.pool_nics()['eth4'] == 1


@ON_ALL_PAIRS
@pytest.mark.parametrize('vm', [VM(), VM(profiles=(), own=('Own', 'Own'))], ids=['dictionary', 'own'])
def test_nic_that_is_switched_off_migrates_switched_off(alpha, beta, vm):
    vm.start(alpha)
    mac, other = vm.profiles
    definition = vm.definition(alpha)
    off = engine_nic_xml(mac, link='down', extra=UNFIT)
    vm.update(alpha, off, 'Own')
    assert vm.link(alpha, mac) == 'down'
    vm.migrate(alpha, beta)
    assert (vm.link(beta, mac), vm.link(beta, other)) == ('down', 'up')
    assert alpha.pool_nics()['eth3'] == 0 and beta.pool_nics()['eth13'] == 1
    vm.update(beta, off.replace('"down"', '"up"'), 'Own')
    assert vm.link(beta, mac) == 'up'
    vm.migrate(beta, alpha)
    assert vm.definition(alpha) == definition


@pytest.mark.parametrize('property_', [None, 'Profile1', "{'00:1a:4a:16:aa:aa': 'P'}", 'a&b', '{'])
def test_destination_looks_at_the_nics_on_the_pool_alone(alpha, beta, property_):
    vm = VM()
    vm.start(alpha)
    vm.vmfex = property_
    assert 'direct-pool started' in vm.migrate(alpha, beta)


def start_refused(host, vm):
    vm.start(host)


def plug_refused(host, vm):
    runs = VM(5, profiles=())
    if not runs.runs_on(host):
        runs.start(host)
    try:
        runs.plug(host, vm.macs[0], 'Refused')
    finally:
        assert vm.macs[0] not in runs.nics(host)


def check_nic_serves(nic, host, elsewhere):
    """A VM starts on that very NIC of a host, the next one that is free, and migrates."""
    vm = VM(3, profiles=('P',))
    assert host.pool_nics()[nic] == 0
    assert 'direct-pool' not in vm.start(host)
    assert list(vm.vic_nics(host).values()) == [nic]
    vm.migrate(host, elsewhere)
    vm.stop(elsewhere)


@ON_BOTH_KINDS
@pytest.mark.parametrize('attempt', [start_refused, plug_refused])
def test_refused_profile_costs_the_host_no_nic(fabric, alpha, beta, attempt):
    """libvirt may leave a VM's MAC on a NIC whose association failed."""
    stays, typo = VM(1, profiles=('P',)), VM(2, profiles=('Refused',))
    stays.start(alpha)
    fabric.refuse('Refused')
    for restarted in False, True:
        if restarted:
            alpha.restart_libvirtd()
        with pytest.raises(libvirt.libvirtError):
            attempt(alpha, typo)
        check_nic_serves('eth4', alpha, beta)


@ON_BOTH_KINDS
def test_refused_profile_costs_the_destination_no_nic(fabric, alpha, beta):
    """libvirt may leave a VM's MAC on a NIC whose association failed."""
    stays, vm = VM(1, profiles=('P',)), VM(2, profiles=('Refused',))
    stays.start(beta)
    vm.start(alpha)
    fabric.refuse('Refused')
    for restarted in False, True:
        if restarted:
            beta.restart_libvirtd()
        with pytest.raises(libvirt.libvirtError):
            vm.migrate(alpha, beta)
        assert vm.runs_on(alpha)
        check_nic_serves('eth14', beta, alpha)
    fabric.refuse(None)
    vm.migrate(alpha, beta)
    assert list(vm.vic_nics(beta).values()) == ['eth14']


def test_vm_with_its_own_profiles_and_a_dictionary_migrates(fabric, alpha, beta):
    vm = VM(profiles=('Profile1',), own=('Own1', 'Own2'))
    log = vm.start(alpha)
    assert "has a port profile by its vNIC profile; Profile1, the VM's, counts" in log
    assert vm.profiles == dict(zip(vm.macs, ('Profile1', 'Own2')))
    vm.migrate(alpha, beta)
    assert fabric.ports(beta, 'ASSOCIATE') == vm.ports(vm.vic_nics(beta))
