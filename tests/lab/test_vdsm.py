# SPDX-License-Identifier: GPL-2.0-or-later
"""
VDSM's own Vm with the hook: what VDSM makes of a VM on VM-FEX, and what it does not.

Where a test shows a limit of VDSM that the README names, it fails with a VDSM that does better.
"""

import re

import libvirt
import pytest

from tests.hook import output
from tests.lab import guest
from tests.lab.real_vdsm import GREP, Vdsm, VdsmError, device_xml, vm_xml, why_not
from tests.lab.vm import VM
from tests.xml_builders import MIRRORING, PLUGGED, UNFIT, network_xml

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())

# libvirt's answer to VDSM's <interface type="direct"> or "network" with a <source bridge=...>.
REFUSED = "[Mm]issing required attribute '(dev|network)'|No <source> '(dev|network)' attribute"
OWN_PROFILES = {'profiles': (), 'own': ('Profile1', 'Profile2')}
BOTH_FORMS = pytest.mark.parametrize('form', [{}, OWN_PROFILES], ids=['dictionary', 'own'])


@pytest.fixture
def vdsm(alpha, tmp_path):
    """A running Vdsm on alpha: its functions are VDSM's."""
    with Vdsm(alpha, str(tmp_path / 'vdsm.log')) as vdsm:
        yield vdsm


@BOTH_FORMS
def test_vm_is_created_and_its_nic_updated_also_by_a_vdsm_that_restarted(fabric, alpha, vdsm, form):
    vm = VM(**form)
    mac, own = vm.macs[0], None if vm.vmfex else 'Profile1'
    assert vdsm.create(vm_xml(vm)) == ['Up', None]
    assert fabric.ports(alpha, 'ASSOCIATE') == vm.ports(vm.vic_nics(alpha))
    for restarted in False, True:
        if restarted:
            vdsm.restart()
            assert vdsm.recover(vm.uuid)[0] == 'Up'
        for link, network in ('down', 'ovirtmgmt'), ('up', 'storage'):
            vdsm.update(vm.uuid, device_xml(mac, network, own, link=link, extra=UNFIT))
            assert vm.link(alpha, mac) == link
            assert alpha.pool_nics()['eth3'] == 1
    assert len(fabric.requests()) == 2
    vdsm.update(vm.uuid, device_xml(vm.macs[3], link='down'))
    assert vm.link(alpha, vm.macs[3]) == 'down'
    with pytest.raises(VdsmError, match=REFUSED):  # only the VDSM that started the VM can do that
        vdsm.unplug(vm.uuid, device_xml(mac))
    assert mac in vm.vic_nics(alpha)


def test_hooks_lines_are_in_vdsms_log_and_its_error_in_the_engines_event(alpha, vdsm):
    # It has run before, but what the engine sends for a start has nothing of that.
    bridged, wrong, vm = VM(profiles=()), VM(), VM()
    vdsm.create(vm_xml(bridged))  # it has such a line, too, with nothing in it
    vdsm.stop(vm.uuid)
    wrong.vmfex = "{'00:1a:4a:16:00:51':'caf\u00e9'}"
    status, message = vdsm.create(vm_xml(wrong))
    assert status == 'Down'
    assert message.startswith(
        "Hook Error: (b\"vmfex: custom property vmfex of the VM, for 00:1a:4a:16:00:51: "
        "'caf\\xc3\\xa9' is not a port profile: "
    )
    assert alpha.conn.listAllNetworks() == []
    vdsm.create(vm_xml(vm))
    assert len(output('grep', "/50_vmfex: rc=0 err=b''$", vdsm.log).splitlines()) == 1
    error, line = output('grep', GREP, vdsm.log).splitlines()  # as the README says
    assert re.search(r'/50_vmfex: rc=2 err=b"vmfex: ', error)
    assert re.search(r"/50_vmfex: rc=0 err=b'vmfex: NIC .* Profile1; removed: .*\\nvmfex: .*\\n'$", line)


def test_vm_with_port_mirroring_on_vmfex_does_not_start(alpha, vdsm):
    vm, end = VM(), '</ovirt-vm:device>'
    status, message = vdsm.create(vm_xml(vm).replace(end, MIRRORING + end, 1))
    assert status == 'Down' and f'NIC {vm.macs[0]} has port mirroring' in message
    # Port mirroring of a NIC that stays on its bridge does not matter.
    bridged = f'mac_address="{vm.macs[3]}">'
    assert vdsm.create(vm_xml(vm).replace(bridged, bridged + MIRRORING)) == ['Up', None]


def test_nic_is_plugged_and_unplugged_by_the_vdsm_that_started_the_vm(alpha, vdsm, tmp_path):
    vm = VM(profiles=())
    guest.give_linux(vm, str(tmp_path))
    vdsm.create(vm_xml(vm))
    guest.wait_for_answer(alpha, vm, vm.macs[0])
    guest.let_slots_settle(alpha)
    vdsm.plug(vm.uuid, device_xml(PLUGGED, own='Plugged', extra=UNFIT))
    assert vm.vic_nics(alpha) == {PLUGGED: 'eth3'}
    vdsm.update(vm.uuid, device_xml(PLUGGED, own='Other', link='down', extra=UNFIT))
    assert vm.nics(alpha)[PLUGGED].find('link').get('state') == 'down'
    vdsm.update(vm.uuid, device_xml(PLUGGED, own='Plugged', extra=UNFIT))
    guest.wait_for_answer(alpha, vm, PLUGGED)
    vdsm.unplug(vm.uuid, device_xml(PLUGGED, own='Plugged'))
    assert PLUGGED not in vm.nics(alpha)


@BOTH_FORMS
def test_vm_migrates_is_updated_there_and_not_unplugged(fabric, alpha, beta, vdsm, tmp_path, form):
    vm = VM(**form)
    vdsm.create(vm_xml(vm))
    xml = vm.on(alpha).XMLDesc(libvirt.VIR_DOMAIN_XML_MIGRATABLE)
    with Vdsm(beta, str(tmp_path / 'vdsm-beta.log')) as vdsm_beta:
        net = beta.conn.networkDefineXML(network_xml(beta.pool, mode='bridge'))
        with pytest.raises(VdsmError, match="Hook Error: .*network direct-pool is not the hook's"):
            vdsm_beta.expect(xml)
        net.undefine()
        vdsm_beta.expect(xml)
        vm.migrate(alpha, beta, hook=False)
        assert vdsm_beta.arrived(vm.uuid)[0] == 'Up'
        assert fabric.ports(beta, 'ASSOCIATE') == vm.ports(vm.vic_nics(beta))
        mac, own = vm.macs[0], None if vm.vmfex else 'Profile1'
        vdsm_beta.update(vm.uuid, device_xml(mac, 'storage', own, link='down', extra=UNFIT))
        assert vm.link(beta, mac) == 'down' and beta.pool_nics()['eth13'] == 1
        with pytest.raises(VdsmError, match=REFUSED):
            vdsm_beta.unplug(vm.uuid, device_xml(mac))


@BOTH_FORMS
def test_vm_resumes_after_a_reboot_that_renamed_the_nics(fabric, alpha, vdsm, tmp_path, form):
    """On its port profiles of before, though it has none in the engine by now."""
    vm, memory = VM(**form), str(tmp_path / 'memory')
    vdsm.create(vm_xml(vm))
    vdsm.suspend(vm.uuid, memory)
    assert set(alpha.pool_nics().values()) == {0}
    vdsm.restart(lambda: alpha.reboot([f'eth{i}' for i in range(4, 13)], own='eth3'))
    fabric.forget()
    own = alpha.mac('eth3')
    assert list(alpha.pool_nics())[0] == 'eth3'  # autostarted, and waiting for a VM
    assert vdsm.create(vm_xml(VM(profiles=())), memory) == ['Up', None]
    assert fabric.ports(alpha, 'ASSOCIATE') == vm.ports(vm.vic_nics(alpha))
    assert sorted(vm.vic_nics(alpha).values()) == ['eth4', 'eth5']
    assert alpha.mac('eth3') == own


# id: the port profile that a running VM's XML gets, by which calls; none of its NICs goes there
GIVEN = {
    'profile': ('Later', ['update', 'update']),  # VDSM writes into the XML what it had before
    'wrong-value': ('a&amp;b', ['update', 'update']),
    'plugged-nic': ('Plugged', ['plug']),
}


@pytest.mark.parametrize('needed', [0, 1])
@pytest.mark.parametrize('memory', ['suspend', 'snapshot'])
@pytest.mark.parametrize('given, calls', GIVEN.values(), ids=GIVEN)
def test_vm_goes_on_where_the_nics_that_it_has_are_free(alpha, vdsm, tmp_path, given, calls, memory, needed):
    vm, path = VM(profiles=needed * ('Profile1',)), str(tmp_path / 'memory')
    vm.vmfex = str(vm.dictionary)
    vdsm.create(vm_xml(vm))
    for call in calls:
        mac = PLUGGED if call == 'plug' else vm.macs[3]
        getattr(vdsm, call)(vm.uuid, device_xml(mac, own=given))
    assert f'>{given}<' in vm.on(alpha).XMLDesc()
    getattr(vdsm, memory)(vm.uuid, path)
    if memory == 'snapshot':
        vdsm.stop(vm.uuid)
    for nic in alpha.pool:
        alpha.remove_nic(nic)
    of_the_engine = vm_xml(VM(profiles=()))  # which does not count
    if needed:
        status, message = vdsm.create(of_the_engine, path)
        assert status == 'Down' and 'direct-pool has 0 free NICs of 0, this VM needs 1' in message
        alpha.add_nics('eth12')
    assert vdsm.create(of_the_engine, path) == ['Up', None]
    assert list(vm.vic_nics(alpha)) == list(vm.dictionary)
