# SPDX-License-Identifier: GPL-2.0-or-later
"""Updates of a running VM's NIC: its link is switched, all else waits for the VM's next start."""

import re

import libvirt
import pytest

from tests.lab.kinds import ON_BOTH_KINDS
from tests.lab.vm import VM
from tests.vdsm_runner import HookError
from tests.xml_builders import PLUGGED, UNFIT, engine_nic_xml

# From 10.8 on, libvirt wants the update of a NIC as it was defined, not as it is.
WANTS_NETWORK_FORM = libvirt.getVersion() >= 10008000


def update_xml(mac, link, form='bridge', network='ovirtmgmt', extra=''):
    """Return the XML of an update, in one of the forms that VDSM writes."""
    return engine_nic_xml(mac, network, link, UNFIT + extra, form)


@pytest.mark.parametrize('form', ['bridge', 'network', 'direct'])
def test_link_is_switched_off_and_on(fabric, alpha, form):
    vm = VM()
    vm.start(alpha)
    mac, other = vm.profiles
    definition = vm.definition(alpha)
    for link in 'down', 'down', 'up', 'up':
        log = vm.update(alpha, update_xml(mac, link, form))
        assert f'NIC {mac} has link {link}; it stays' in log
        assert vm.link(alpha, mac) == link
        assert vm.link(alpha, other) == 'up'
        nic = vm.nics(alpha)[mac]
        assert nic.find('link').get('state') == link
        assert nic.find('source').get('network') == 'direct-pool'
        assert nic.find('virtualport/parameters').get('profileid') == vm.profiles[mac]
        assert vm.definition(alpha) == definition
    assert len(fabric.requests()) == 2  # the associations of the start
    assert alpha.pool_nics()['eth3'] == alpha.pool_nics()['eth4'] == 1


@ON_BOTH_KINDS
def test_link_is_switched_while_all_nics_of_the_host_are_taken(alpha):
    """Were its port released for a moment, the NIC could not get one back."""
    vms = [VM(number) for number in range(4)] + [VM(4, profiles=('P',))]
    for vm in vms:
        vm.start(alpha)
    for link in 'down', 'up':
        vms[0].update(alpha, update_xml(vms[0].macs[0], link))
        assert vms[0].link(alpha, vms[0].macs[0]) == link
        assert list(alpha.pool_nics().values()) == 9 * [1]
    with pytest.raises(HookError, match='has 0 free NICs of 9'):
        VM(5).start(alpha)


def test_libvirt_would_refuse_what_vdsm_asks_for(alpha):
    """This is why before_update_device exists."""
    vm = VM()
    vm.start(alpha)
    for form in 'bridge', 'network', 'direct':
        with pytest.raises(libvirt.libvirtError):
            vm.on(alpha).updateDeviceFlags(
                update_xml(vm.macs[0], 'down', form), libvirt.VIR_DOMAIN_AFFECT_LIVE
            )


def test_other_libvirts_form_of_an_update_would_not_do(alpha):
    """This is why the hook asks for libvirt's version."""
    vm = VM()
    vm.start(alpha)
    data = vm.on(alpha).XMLDesc()
    live = re.search("(?s)<interface type='direct'.*?</interface>", data).group()
    if WANTS_NETWORK_FORM:
        vm.on(alpha).updateDeviceFlags(live, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        assert alpha.pool_nics()['eth3'] == 0 and alpha.mac('eth3') == vm.macs[0]
    else:
        form = re.sub('<source[^>]*>', "<source network='direct-pool'/>", live).replace(
            "'direct'", "'network'"
        )
        with pytest.raises(libvirt.libvirtError, match='network'):
            vm.on(alpha).updateDeviceFlags(form, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        assert alpha.pool_nics()['eth3'] == 1


def test_change_of_the_logical_network_leaves_the_nic_on_its_profile(fabric, alpha):
    vm = VM()
    vm.start(alpha)
    mac = vm.macs[0]
    before = vm.vic_nics(alpha)
    log = vm.update(alpha, update_xml(mac, 'up', network='storage'))
    assert "it stays on port profile Profile1, and other changes wait for the VM's next start" in log
    vm.update(alpha, update_xml(mac, 'down', network=';vdsmdummy;'))  # "no network"
    assert vm.link(alpha, mac) == 'down'
    assert vm.vic_nics(alpha) == before
    assert fabric.requests(operation='DISASSOCIATE') == []


def test_link_is_switched_whatever_the_dictionary_says_by_now(alpha):
    vm = VM()
    vm.start(alpha)
    mac = vm.macs[0]
    vm.vmfex = "{'00:1a:4a:16:aa:aa': 'Other'}"
    vm.update(alpha, update_xml(mac, 'down'))
    assert vm.link(alpha, mac) == 'down'
    assert vm.nics(alpha)[mac].find('virtualport/parameters').get('profileid') == 'Profile1'


def test_update_of_a_nic_that_is_not_on_the_pool_is_left_untouched(alpha):
    vm = VM()
    vm.start(alpha)
    vm.add_profile(vm.macs[2], 'Plugged')  # since the start
    for mac in vm.macs[2:]:
        xml = engine_nic_xml(mac, link='down')
        assert alpha.hook('before_update_device', xml, vm.vmfex, vm.uuid) == (xml, '')
        vm.update(alpha, xml)
        assert vm.link(alpha, mac) == 'down'


def test_vm_with_an_unwired_nic_starts_and_is_wired_later(fabric, alpha):
    vm = VM(links=('down', 'up'))
    vm.start(alpha)
    mac, other = vm.profiles
    assert (vm.link(alpha, mac), vm.link(alpha, other)) == ('down', 'up')
    assert len(fabric.requests(operation='ASSOCIATE')) == 2
    vm.update(alpha, update_xml(mac, 'up'))
    assert vm.link(alpha, mac) == 'up'


# Not every kernel can shape traffic. So tc is replaced by a script that logs what libvirt asks of it:
# that shows what libvirt accepts, not what the kernel makes of it.


@pytest.fixture
def tc(alpha, tmp_path):
    log, script = tmp_path / 'tc.log', tmp_path / 'tc'
    log.write_text('')
    script.write_text(f'#!/bin/sh\necho "$@" >> {log}\n')
    script.chmod(0o755)
    alpha.run('sh', '-ec', f'mount --bind {script} $(command -v tc)')
    return log


BANDWIDTH = (
    '<bandwidth><inbound average="1000" peak="2000" burst="512"/><outbound average="3000"/></bandwidth>'
)


def test_vdsms_own_update_of_the_bandwidth_would_not_do(alpha, tc):
    """This is why before_update_device leaves the bandwidth as it runs."""
    vm = VM()
    vm.start(alpha)
    xml, _ = alpha.hook('before_update_device', update_xml(vm.macs[0], 'up'), vm.vmfex, vm.uuid)
    vm.on(alpha).updateDeviceFlags(
        xml.replace('<tune>', BANDWIDTH + '<tune>'), libvirt.VIR_DOMAIN_AFFECT_LIVE
    )
    if WANTS_NETWORK_FORM:  # nothing happens
        assert vm.nics(alpha)[vm.macs[0]].find('bandwidth') is None
    else:  # libvirt gives the NIC away
        assert alpha.pool_nics()['eth3'] == 0 and alpha.mac('eth3') == vm.macs[0]


@pytest.mark.parametrize(
    'asked', ['', BANDWIDTH, BANDWIDTH.replace('3000', '7')], ids=['none', 'same', 'other']
)
def test_bandwidth_stays_as_it_runs_when_the_link_is_switched(alpha, tc, asked):
    vm = VM()
    vm.xml = vm.xml.replace(UNFIT, UNFIT + BANDWIDTH)
    vm.start(alpha)
    assert 'rate 1000kbps' in tc.read_text()
    for link in 'down', 'up':
        vm.update(alpha, update_xml(vm.macs[0], link, extra=asked))
        assert vm.link(alpha, vm.macs[0]) == link
        assert vm.nics(alpha)[vm.macs[0]].find('bandwidth/outbound').get('average') == '3000'
        assert alpha.pool_nics()['eth3'] == 1


@pytest.mark.parametrize('value', ["{'00:1a:4a:16:01:51'}", 'a&b', '[]'])
def test_link_is_switched_though_the_property_is_wrong_by_now(alpha, value):
    """It counts at the next start, and is refused then."""
    vm = VM(profiles=(), own=('Own',))
    vm.start(alpha)
    vm.update(alpha, update_xml(vm.macs[0], 'down'), value)
    assert vm.link(alpha, vm.macs[0]) == 'down'


def test_update_of_a_vm_that_is_gone_is_one_line(alpha):
    with pytest.raises(HookError, match='^vmfex: libvirt failed: Domain not found.*\n$'):
        alpha.hook('before_update_device', engine_nic_xml(PLUGGED), VM().vmfex, VM().uuid)


def test_nic_runs_on_its_old_profile_whatever_its_vnic_profile_says_by_now(fabric, alpha):
    vm = VM(profiles=(), own=('Own',))
    vm.start(alpha)
    mac = vm.macs[0]
    for property_, link in (('Other', 'down'), (None, 'up'), ('{}', 'down'), ('Own', 'up'), ('', 'down')):
        log = vm.update(alpha, update_xml(mac, link, network='storage'), property_)
        assert 'it stays on port profile Own, and other changes wait' in log
        assert vm.link(alpha, mac) == link
        assert alpha.pool_nics()['eth3'] == 1
    assert len(fabric.requests()) == 1


def test_update_of_a_vm_that_has_nothing_to_do_with_vmfex_is_left_untouched(alpha):
    vm = VM(profiles=())
    vm.start(alpha)
    xml = engine_nic_xml(vm.macs[0], link='down')
    assert alpha.hook('before_update_device', xml, None, vm.uuid) == (xml, '')
    assert alpha.hook('before_update_device', xml, 'Own', vm.uuid) == (xml, '')
    assert alpha.conn.listAllNetworks() == []
