# SPDX-License-Identifier: GPL-2.0-or-later
"""What the README promises: VMs really start on 802.1Qbh, and really migrate."""

import concurrent.futures
import re
from collections import Counter
from xml.etree import ElementTree

import libvirt
import pytest

from vdsm_runner import HookError
from vm import VM

pytestmark = pytest.mark.parametrize('lab', ['hooks_by_make', 'hooks_by_rpm'], indirect=True)


def requests(lab, host, operation):
    return [(request.nic, request.profile, request.vm)
            for request in lab.fabric.requests(host=host.name, operation=operation)]


def profiles_on(vm, names):
    return [(names[mac], profile, vm.uuid) for mac, profile in vm.profiles.items()]


def test_vm_starts_on_its_port_profiles_and_stops(lab, alpha):
    vm = VM()
    vm.start(alpha)
    names = vm.vic_nics(alpha)
    assert names == dict(zip(vm.profiles, ('eth3', 'eth4')))
    assert requests(lab, alpha, 'ASSOCIATE') == profiles_on(vm, names)
    for mac, name in names.items():
        assert alpha.sysfs.mac(name) == alpha.mac(name) == mac
    for mac in vm.macs[2:]:
        nic = vm.nics(alpha)[mac]
        assert (nic.get('type'), nic.find('source').get('bridge')) == ('bridge', 'ovirtmgmt')
    assert len(lab.fabric.requests()) == 2

    vm.stop(alpha)
    assert requests(lab, alpha, 'DISASSOCIATE') == [('eth3', '-', '-'), ('eth4', '-', '-')]
    assert alpha.free_nics() == alpha.pool
    assert set(alpha.pool_nics().values()) == {0}


def test_vm_migrates_there_and_back_live(lab, alpha, beta):
    vm = VM()
    vm.start(alpha)
    definition = vm.nics(alpha, libvirt.VIR_DOMAIN_XML_INACTIVE)
    assert beta.conn.listAllNetworks() == []
    for source, destination in ((alpha, beta), (beta, alpha)):
        before = vm.vic_nics(source)
        lab.fabric.forget()
        vm.migrate(source, destination)
        names = vm.vic_nics(destination)
        assert sorted(names.values()) == destination.pool[:2]
        assert requests(lab, destination, 'PREASSOCIATE_RR') == profiles_on(vm, names)
        assert requests(lab, destination, 'ASSOCIATE') == profiles_on(vm, names)
        assert [nic for nic, _, _ in requests(lab, source, 'DISASSOCIATE')] == list(before.values())
        assert len(lab.fabric.requests()) == 6
        assert vm.runs_on(destination) and not vm.runs_on(source)
        assert vm.on(destination).state() == [libvirt.VIR_DOMAIN_RUNNING,
                                              libvirt.VIR_DOMAIN_RUNNING_MIGRATED]
        stats = vm.on(destination).jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)
        assert stats['downtime'] < 1000  # milliseconds: it went on where it was
        assert source.free_nics() == source.pool
        there = vm.nics(destination, libvirt.VIR_DOMAIN_XML_INACTIVE)
        assert {mac: ElementTree.tostring(nic) for mac, nic in there.items()} == {
            mac: ElementTree.tostring(nic) for mac, nic in definition.items()}


def broken_pool(host, vm):
    host.conn.networkDefineXML("<network><name>direct-pool</name><forward mode='bridge'>"
                               "<interface dev='eth13'/></forward></network>")
    return "is not the hook's, its forward mode is bridge"


def too_few_nics(host, vm):
    for nic in host.pool[1:]:
        host.sysfs.set_mac(nic, '00:25:b5:00:01:0f')
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
def test_migration_to_a_host_that_cannot_take_the_vm_is_refused_before_it_begins(
        lab, alpha, beta, spoil):
    vm = VM()
    vm.start(alpha)
    says = spoil(beta, vm)
    before = len(lab.fabric.requests())
    with pytest.raises(HookError, match=says):
        vm.migrate(alpha, beta)
    assert vm.runs_on(alpha)
    assert len(lab.fabric.requests()) == before
    assert alpha.pool_nics()['eth3'] == alpha.pool_nics()['eth4'] == 1


def test_suspended_vm_resumes_on_a_host_that_lost_its_pool(lab, alpha):
    vm = VM()
    vm.start(alpha)
    running = vm.on(alpha).XMLDesc()
    vm.on(alpha).managedSave()
    assert alpha.free_nics() == alpha.pool
    alpha.restart_libvirtd()
    pool = alpha.conn.networkLookupByName('direct-pool')
    pool.destroy()
    pool.undefine()
    lab.fabric.forget()

    alpha.hook('before_vm_start', running, vm.vmfex, vm.uuid)
    vm.on(alpha).create()
    assert requests(lab, alpha, 'ASSOCIATE') == profiles_on(vm, vm.vic_nics(alpha))
    assert vm.runs_on(alpha)


def test_first_vm_start_puts_the_pool_right_after_a_reboot_with_renamed_nics(lab, alpha):
    vm = VM()
    vm.start(alpha)
    alpha.reboot({'eth{}'.format(i): 'eth{}'.format(i + 1) for i in range(3, 12)}, own='eth3')
    own = alpha.mac('eth3')
    assert list(alpha.pool_nics())[0] == 'eth3'  # autostarted, and waiting for a VM

    log = alpha.hook('before_vm_start', vm.xml, vm.vmfex)[1]
    assert 'direct-pool stopped' in log and 'direct-pool started' in log
    assert list(alpha.pool_nics()) == alpha.next_pool_nics() == alpha.pool
    vm.on(alpha).create()
    assert sorted(vm.vic_nics(alpha).values()) == ['eth4', 'eth5']
    assert alpha.mac('eth3') == own


def test_nics_that_come_while_a_vm_is_on_the_pool_are_used_after_the_last_vm_left(lab, alpha):
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
    assert lab.fabric.requests(operation='DISASSOCIATE') == []

    for vm in vms[:9]:
        vm.stop(alpha)
    for vm in vms[:10]:
        vm.start(alpha)
    assert sorted(nic for vm in vms[:10] for nic in vm.vic_nics(alpha).values()) == sorted(alpha.pool)


def test_ten_vms_at_once_on_a_host_with_no_pool(lab, alpha):
    for i in range(12, 23):
        alpha.add_nic('eth{}'.format(i))
    vms = [VM(number) for number in range(10)]
    with concurrent.futures.ThreadPoolExecutor(len(vms)) as executor:
        logs = list(executor.map(lambda vm: vm.start(alpha), vms))
    assert len(re.findall('direct-pool started', ''.join(logs))) == 1
    on = Counter(nic for vm in vms for nic in vm.vic_nics(alpha).values())
    assert on == Counter('eth{}'.format(i) for i in range(3, 23))
    associated = lab.fabric.requests(operation='ASSOCIATE')
    assert sorted((request.vm, request.profile) for request in associated) == sorted(
        (vm.uuid, profile) for vm in vms for profile in vm.profiles.values())


def test_refused_profile_stops_the_start_with_libvirts_message(lab, alpha):
    vm = VM()
    lab.fabric.refuse('Profile2')
    with pytest.raises(libvirt.libvirtError, match='error .* during port-profile setlink'):
        vm.start(alpha)
    assert [(request.profile, request.answer) for request
            in lab.fabric.requests(operation='ASSOCIATE')] == [
        ('Profile1', 'success'), ('Profile2', 'refused')]
    assert alpha.free_nics() == alpha.pool
    assert set(alpha.pool_nics().values()) == {0}
    lab.fabric.refuse(None)
    vm.start(alpha)


def test_slow_fabric_is_waited_for(lab, alpha):
    vm = VM(profiles=('P',))
    lab.fabric.be_slow(2)
    vm.start(alpha)
    assert [request.answer for request in lab.fabric.requests()] == ['success']


@pytest.mark.parametrize('vmfex', [
    '''{"00:1a:4a:16:00:51": "a&b<'"}''',
    '''{"00:1a:4a:16:00:51": "P'/></virtualport><filterref filter='x'/><x y='"}''',
    '''{"00:1a:4a:16:00:51'/><source bridge='ovirtmgmt": "P"}''',
], ids=['entity', 'element', 'mac'])
def test_names_that_inject_xml_never_reach_libvirt(lab, alpha, vmfex):
    vm = VM()
    vm.vmfex = vmfex
    with pytest.raises(HookError, match='^vmfex: custom property vmfex'):
        vm.start(alpha)
    assert alpha.conn.listAllDomains() == alpha.conn.listAllNetworks() == []
