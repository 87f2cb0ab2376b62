# SPDX-License-Identifier: GPL-2.0-or-later
"""NICs of running VMs: plugged, unplugged, switched off and on."""

import socket

import libvirt
import pytest

import guest
from vdsm_runner import HookError
from vm import FILTER, PORT, VM, nic_xml
from wait import wait_for

UNFIT = FILTER + PORT
PLUGGED = '00:1a:4a:16:00:99'


def update_xml(mac, link, form='bridge', network='ovirtmgmt', extra=''):
    """Return the XML of an update, in one of the forms that VDSM writes."""
    return nic_xml(mac, network, link, UNFIT + extra).replace('type="bridge"',
                                                              'type="{}"'.format(form))


def test_nic_is_plugged_into_a_running_vm_and_unplugged(lab, alpha, tmp_path):
    vm = VM()
    vm.add_profile(PLUGGED, 'Plugged')
    with socket.socket(socket.AF_UNIX) as up:
        up.bind(str(tmp_path / 'up'))
        up.listen()
        guest.boot_linux(vm, str(tmp_path), str(tmp_path / 'up'))
        assert 'no NIC of this VM has MAC ' + PLUGGED in vm.start(alpha)
        serial, _ = up.accept()
        serial.settimeout(120)
        console = b''
        while b'ready' not in console:
            console += serial.recv(4096)

    log = vm.plug(alpha, PLUGGED, extra=UNFIT)
    assert log == 'vmfex: NIC {} moved to port profile Plugged; removed: source, filterref, port, ' \
                  'mtu\n'.format(PLUGGED)
    assert vm.vic_nics(alpha)[PLUGGED] == 'eth5'
    assert alpha.mac('eth5') == PLUGGED
    request = lab.fabric.requests()[-1]
    assert request[:5] == ('alpha', 'eth5', 'ASSOCIATE', 'Plugged', vm.uuid)

    for link in 'up', 'down', 'up':
        if link != vm.link(alpha, PLUGGED):
            vm.update(alpha, update_xml(PLUGGED, link))
        assert vm.link(alpha, PLUGGED) == link
        assert alpha.pool_nics()['eth5'] == 1

    vm.unplug(alpha, PLUGGED)
    wait_for(lambda: PLUGGED not in vm.nics(alpha))
    wait_for(lambda: 'eth5' in alpha.free_nics() and lab.fabric.requests()[-1] != request)
    assert lab.fabric.requests()[-1][:3] == ('alpha', 'eth5', 'DISASSOCIATE')
    assert alpha.pool_nics()['eth5'] == 0


def test_first_nic_on_the_pool_is_plugged_into_a_vm_on_a_host_without_a_pool(lab, alpha):
    vm = VM(profiles=())
    vm.start(alpha)
    assert alpha.conn.listAllNetworks() == []
    vm.add_profile(PLUGGED, 'Plugged')
    assert 'direct-pool started' in vm.plug(alpha, PLUGGED, extra=UNFIT)
    assert vm.vic_nics(alpha) == {PLUGGED: 'eth3'}


def test_nic_that_is_not_in_the_dictionary_is_plugged_as_it_is(lab, alpha):
    vm = VM()
    vm.start(alpha)
    xml = nic_xml(PLUGGED)
    assert alpha.hook('before_nic_hotplug', xml, vm.vmfex, vm.uuid) == (xml, '')
    vm.plug(alpha, PLUGGED)
    assert vm.nics(alpha)[PLUGGED].get('type') == 'bridge'


def test_nic_is_not_plugged_when_none_is_free(lab, alpha):
    vm = VM()
    for number in range(4):
        VM(number).start(alpha)
    VM(4, profiles=('P',)).start(alpha)
    vm.add_profile(PLUGGED, 'Plugged')
    with pytest.raises(HookError, match='^vmfex: direct-pool has 0 free NICs of 9, this VM needs 1'):
        vm.plug(alpha, PLUGGED)


@pytest.mark.parametrize('form', ['bridge', 'network', 'direct'])
def test_link_is_switched_off_and_on(lab, alpha, form):
    vm = VM()
    vm.start(alpha)
    mac, other = vm.profiles
    for link in 'down', 'down', 'up', 'up':
        log = vm.update(alpha, update_xml(mac, link, form))
        assert 'NIC {} has link {}; whatever'.format(mac, link) in log
        assert vm.link(alpha, mac) == link
        assert vm.link(alpha, other) == 'up'
        nic = vm.nics(alpha)[mac]
        assert nic.find('link').get('state') == link
        assert nic.find('virtualport/parameters').get('profileid') == vm.profiles[mac]
    assert len(lab.fabric.requests()) == 2  # the associations of the start
    assert alpha.pool_nics()['eth3'] == alpha.pool_nics()['eth4'] == 1


def test_libvirt_would_refuse_what_vdsm_asks_for(lab, alpha):
    """Else before_update_device had no reason to be."""
    vm = VM()
    vm.start(alpha)
    for form in 'bridge', 'network', 'direct':
        with pytest.raises(libvirt.libvirtError):
            vm.on(alpha).updateDeviceFlags(update_xml(vm.macs[0], 'down', form),
                                           libvirt.VIR_DOMAIN_AFFECT_LIVE)


def test_change_of_the_logical_network_leaves_the_nic_on_its_profile(lab, alpha):
    vm = VM()
    vm.start(alpha)
    mac = vm.macs[0]
    before = vm.vic_nics(alpha)
    log = vm.update(alpha, update_xml(mac, 'up', network='storage'))
    assert log.endswith('whatever its logical network, it stays on port profile Profile1\n')
    vm.update(alpha, update_xml(mac, 'down', network=';vdsmdummy;'))  # "no network"
    assert vm.link(alpha, mac) == 'down'
    assert vm.vic_nics(alpha) == before
    assert lab.fabric.requests(operation='DISASSOCIATE') == []


def test_link_is_switched_whatever_the_dictionary_says_by_now(lab, alpha):
    vm = VM()
    vm.start(alpha)
    mac = vm.macs[0]
    vm.vmfex = "{'00:1a:4a:16:aa:aa': 'Other'}"
    vm.update(alpha, update_xml(mac, 'down'))
    assert vm.link(alpha, mac) == 'down'
    assert vm.nics(alpha)[mac].find('virtualport/parameters').get('profileid') == 'Profile1'


def test_update_of_a_nic_that_is_not_on_the_pool_is_left_untouched(lab, alpha):
    vm = VM()
    vm.start(alpha)
    vm.add_profile(vm.macs[2], 'Plugged')  # since the start
    for mac in vm.macs[2:]:
        xml = nic_xml(mac, link='down')
        assert alpha.hook('before_update_device', xml, vm.vmfex, vm.uuid) == (xml, '')
        vm.update(alpha, xml)
        assert vm.link(alpha, mac) == 'down'


def test_vm_with_an_unwired_nic_starts_and_is_wired_later(lab, alpha):
    vm = VM(links=('down', 'up'))
    vm.start(alpha)
    mac, other = vm.profiles
    assert (vm.link(alpha, mac), vm.link(alpha, other)) == ('down', 'up')
    assert len(lab.fabric.requests(operation='ASSOCIATE')) == 2
    vm.update(alpha, update_xml(mac, 'up'))
    assert vm.link(alpha, mac) == 'up'


def test_nic_that_is_switched_off_migrates_switched_off(lab, alpha, beta):
    vm = VM()
    vm.start(alpha)
    mac, other = vm.profiles
    vm.update(alpha, update_xml(mac, 'down'))
    assert vm.link(alpha, mac) == 'down'
    vm.migrate(alpha, beta)
    assert (vm.link(beta, mac), vm.link(beta, other)) == ('down', 'up')
    vm.update(beta, update_xml(mac, 'up'))
    assert vm.link(beta, mac) == 'up'


# Not every kernel can shape traffic. So tc is replaced by a script that logs what libvirt asks of it:
# that shows what libvirt accepts, not what the kernel makes of it.

@pytest.fixture
def tc(alpha, tmp_path):
    log, script = tmp_path / 'tc.log', tmp_path / 'tc'
    log.write_text('')
    script.write_text('#!/bin/sh\necho "$@" >> {}\n'.format(log))
    script.chmod(0o755)
    alpha.run('sh', '-ec', 'mount --bind {} $(command -v tc)'.format(script))
    return log


BANDWIDTH = '<bandwidth><inbound average="1000" peak="2000" burst="512"/>' \
            '<outbound average="3000"/></bandwidth>'


def test_bandwidth_is_set_changed_and_taken_away(lab, alpha, tc):
    vm = VM()
    vm.start(alpha)
    mac = vm.macs[0]

    def shaped(extra):
        tc.write_text('')
        vm.update(alpha, update_xml(mac, 'up', extra=extra))
        bandwidth = vm.nics(alpha)[mac].find('bandwidth')
        return tc.read_text(), {} if bandwidth is None else {e.tag: e.attrib for e in bandwidth}

    calls, now = shaped(BANDWIDTH)
    assert now == {'inbound': {'average': '1000', 'peak': '2000', 'burst': '512'},
                   'outbound': {'average': '3000'}}
    assert 'dev macvtap0' in calls and 'rate 1000kbps' in calls and 'rate 3000kbps' in calls
    calls, now = shaped(BANDWIDTH.replace('1000', '1500'))
    assert now['inbound']['average'] == '1500' and 'rate 1500kbps' in calls
    calls, now = shaped('<bandwidth><outbound average="7"/></bandwidth>')
    assert now == {'outbound': {'average': '7'}}
    calls, now = shaped('')
    assert now == {} and 'qdisc del dev macvtap0 root' in calls
    assert shaped('')[0] == shaped('<bandwidth/>')[0] == ''
    assert alpha.pool_nics()['eth3'] == 1  # still counted: no other VM gets it


def test_libvirt_would_give_the_nic_away_if_the_update_changed_its_bandwidth(lab, alpha, tc):
    """Else before_update_device could leave the bandwidth to VDSM."""
    vm = VM()
    vm.start(alpha)
    xml, _ = alpha.hook('before_update_device', update_xml(vm.macs[0], 'up'), vm.vmfex, vm.uuid)
    vm.on(alpha).updateDeviceFlags(xml.replace('<tune>', BANDWIDTH + '<tune>'),
                                   libvirt.VIR_DOMAIN_AFFECT_LIVE)
    assert alpha.pool_nics()['eth3'] == 0 and alpha.mac('eth3') == vm.macs[0]


def test_vm_starts_with_a_bandwidth_and_its_link_is_switched(lab, alpha, tc):
    vm = VM()
    vm.xml = vm.xml.replace(UNFIT, UNFIT + BANDWIDTH)
    vm.start(alpha)
    assert 'rate 1000kbps' in tc.read_text()
    vm.update(alpha, update_xml(vm.macs[0], 'down', extra=BANDWIDTH))
    assert vm.link(alpha, vm.macs[0]) == 'down'
    assert vm.nics(alpha)[vm.macs[0]].find('bandwidth/outbound').get('average') == '3000'
    assert alpha.pool_nics()['eth3'] == 1


def test_bandwidth_that_cannot_be_guaranteed_is_refused(lab, alpha):
    vm = VM()
    vm.start(alpha)
    mac = vm.macs[0]
    before = vm.on(alpha).XMLDesc()
    with pytest.raises(HookError, match="^vmfex: NIC {} can't have the bandwidth .*\n$".format(mac)):
        vm.update(alpha, update_xml(mac, 'down', extra=(
            '<bandwidth><inbound average="1000" floor="500"/></bandwidth>')))
    assert vm.on(alpha).XMLDesc() == before


def test_bandwidth_that_the_kernel_refuses_is_one_line(lab, alpha, tc):
    vm = VM()
    vm.start(alpha)
    tc.with_name('tc').write_text('#!/bin/sh\necho no such qdisc >&2; exit 2\n')
    with pytest.raises(HookError, match='^vmfex: libvirt failed: .*tc .*no such qdisc.*\n$'):
        vm.update(alpha, update_xml(vm.macs[0], 'down', extra=BANDWIDTH))
    assert vm.nics(alpha)[vm.macs[0]].find('link').get('state') == 'up'


@pytest.mark.parametrize('vmfex', ['Profile1', 'VM network 2', '00:1a:4a:16:01:51'])
@pytest.mark.parametrize('point', ['before_nic_hotplug', 'before_update_device'])
def test_nic_with_another_hooks_property_is_left_alone(lab, alpha, point, vmfex):
    vm = VM(profiles=())
    vm.start(alpha)
    xml = nic_xml(vm.macs[0], link='down')
    assert alpha.hook(point, xml, vmfex, vm.uuid) == (xml, '')


@pytest.mark.parametrize('vmfex', ["{'00:1a:4a:16:01:51'}", 'a&b', '[]', 40 * 'p'])
@pytest.mark.parametrize('point', ['before_nic_hotplug', 'before_update_device'])
def test_any_other_malformed_property_is_refused_as_at_start(lab, alpha, point, vmfex):
    with pytest.raises(HookError, match='^vmfex: custom property vmfex .*\n$'):
        alpha.hook(point, nic_xml(PLUGGED), vmfex, VM().uuid)


def test_half_of_a_failover_pair_is_plugged_as_it_is(lab, alpha):
    xml = '<interface type="hostdev"><mac address="{}"/><teaming type="transient" ' \
          'persistent="ua-1"/></interface>'.format(PLUGGED)
    assert alpha.hook('before_nic_hotplug', xml, "{{'{}': 'P'}}".format(PLUGGED)) == (xml, '')


def test_update_of_a_vm_that_is_gone_is_one_line(lab, alpha):
    with pytest.raises(HookError, match='^vmfex: libvirt failed: Domain not found.*\n$'):
        alpha.hook('before_update_device', nic_xml(PLUGGED), VM().vmfex, VM().uuid)
