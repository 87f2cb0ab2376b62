# SPDX-License-Identifier: GPL-2.0-or-later
"""VMs really migrate: what the README promises for two hosts."""

import libvirt
import pytest

from tests.lab.kinds import ON_ALL_PAIRS, ON_BOTH_KINDS
from tests.lab.vm import VM
from tests.messages import matches, rows
from tests.vdsm_runner import HookError
from tests.xml_builders import PLUGGED, UNFIT, engine_nic_xml, network_xml

REFUSED = rows("libvirt's error")[-1]


@ON_ALL_PAIRS
def test_vm_migrates_there_and_back_live_with_a_nic_that_is_switched_off(fabric, alpha, beta):
    vm = VM(profiles=('Profile1',), own=('Own1', 'Own2'))
    assert "has a port profile by its vNIC profile; Profile1, the VM's, counts" in vm.start(alpha)
    mac, other = vm.profiles
    assert (vm.profiles[mac], vm.profiles[other]) == ('Profile1', 'Own2')
    definition = vm.definition(alpha)
    assert beta.conn.listAllNetworks() == []
    for source, destination, link in ((alpha, beta, 'down'), (beta, alpha, 'up')):
        vm.update(source, engine_nic_xml(mac, link=link, extra=UNFIT))
        before = vm.vic_nics(source)
        fabric.forget()
        vm.migrate(source, destination)
        names = vm.vic_nics(destination)
        assert sorted(names.values()) == destination.pool[:2]
        assert (vm.link(destination, mac), vm.link(destination, other)) == (link, 'up')
        assert fabric.ports(destination, 'PREASSOCIATE_RR') == vm.ports(names)
        assert fabric.ports(destination, 'ASSOCIATE') == vm.ports(names)
        assert [nic for nic, _, _ in fabric.ports(source, 'DISASSOCIATE')] == list(before.values())
        assert len(fabric.requests()) == 6
        assert vm.runs_on(destination) and not vm.runs_on(source)
        assert vm.on(destination).state() == [libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_MIGRATED]
        assert source.idle_nics() == source.pool and set(source.pool_nics().values()) == {0}
        assert list(destination.pool_nics().values()) == [1, 1, 0, 0, 0, 0, 0, 0, 0]
        assert vm.definition(destination) == definition


def test_migration_to_a_host_that_cannot_take_the_vm_is_refused_before_it_begins(fabric, alpha, beta):
    vm, other = VM(), VM(1, profiles=8 * ('P',), nics=8)
    vm.start(alpha)

    def state():
        return fabric.requests(), [beta.net.XMLDesc(flags) for flags in (0, libvirt.VIR_NETWORK_XML_INACTIVE)]

    def assert_refused(says):
        before = state()
        with pytest.raises(HookError, match=says):
            vm.migrate(alpha, beta)
        assert vm.runs_on(alpha) and alpha.pool_nics()['eth3'] == alpha.pool_nics()['eth4'] == 1
        assert state() == before

    net = beta.conn.networkDefineXML(network_xml(['eth13'], mode='bridge'))
    assert_refused("is not the hook's, its forward mode is bridge")
    net.undefine()
    other.start(beta)
    assert_refused('has 1 free NIC of 9, this VM needs 2')


def check_nic_serves(nic, host, elsewhere):
    """A VM starts on that very NIC of a host, the next one that is free, and migrates."""
    vm = VM(3, profiles=('P',))
    assert host.pool_nics()[nic] == 0
    assert 'direct-pool' not in vm.start(host)
    assert list(vm.vic_nics(host).values()) == [nic]
    vm.migrate(host, elsewhere)
    vm.stop(elsewhere)


@ON_BOTH_KINDS
def test_refused_profile_costs_neither_host_a_nic(fabric, alpha, beta):
    """libvirt may leave a VM's MAC on a NIC whose association failed."""
    moves, runs, typo = VM(1, profiles=('Refused',)), VM(5, profiles=()), VM(2, profiles=('P', 'Refused'))
    moves.start(alpha)
    runs.start(alpha)
    VM(4, profiles=('P',)).start(beta)
    fabric.refuse('Refused')
    for restart in False, True:
        if restart:
            alpha.restart_libvirtd()
            beta.restart_libvirtd()
        for attempt in lambda: typo.start(alpha), lambda: runs.plug(alpha, PLUGGED, 'Refused'):
            with pytest.raises(libvirt.libvirtError) as error:
                attempt()
            assert matches(REFUSED, str(error.value))
        check_nic_serves('eth4', alpha, beta)
        with pytest.raises(libvirt.libvirtError):
            moves.migrate(alpha, beta)
        check_nic_serves('eth14', beta, alpha)
    assert moves.runs_on(alpha) and PLUGGED not in runs.nics(alpha)
    fabric.accept('Refused')
    moves.migrate(alpha, beta)
    assert list(moves.vic_nics(beta).values()) == ['eth14']
