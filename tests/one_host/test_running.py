# SPDX-License-Identifier: GPL-2.0-or-later
"""NICs of running VMs: plugged, unplugged, switched off and on."""

import re
import socket

import libvirt
import pytest

from tests.fake_vdsm.runner import HookError
from tests.lab import guest
from tests.lab.kinds import ON_BOTH_KINDS
from tests.lab.vm import FILTER, PORT, VM, nic_xml
from tests.lab.wait import wait_for

UNFIT = FILTER + PORT
PLUGGED = '00:1a:4a:16:00:99'
# From 10.8 on, libvirt wants the update of a NIC as it was defined, not as it is.
WANTS_NETWORK_FORM = libvirt.getVersion() >= 10008000


def update_xml(mac, link, form='bridge', network='ovirtmgmt', extra=''):
    """Return the XML of an update, in one of the forms that VDSM writes."""
    return nic_xml(mac, network, link, UNFIT + extra).replace('type="bridge"',
                                                              'type="{}"'.format(form))


@ON_BOTH_KINDS
def test_nic_is_plugged_into_a_running_vm_and_unplugged(fabric, alpha, tmp_path):
    vm = VM()
    vm.add_profile(PLUGGED, 'Plugged')
    with socket.socket(socket.AF_UNIX) as up:
        up.bind(str(tmp_path / 'up'))
        up.listen()
        guest.boot_linux(vm, str(tmp_path), str(tmp_path / 'up'))
        assert 'no NIC of this VM has MAC ' + PLUGGED in vm.start(alpha)
        guest.wait_until_up(up)

    guest.let_slots_settle(alpha)
    log = vm.plug(alpha, PLUGGED, extra=UNFIT)
    assert log == ('vmfex: NIC {} moved from ovirtmgmt to port profile Plugged; removed: '
                   'filterref, port, mtu\n').format(PLUGGED)
    assert vm.vic_nics(alpha)[PLUGGED] == 'eth5'
    assert alpha.mac('eth5') == PLUGGED
    request = fabric.requests()[-1]
    assert alpha.nic_of(request.nic) == 'eth5'
    assert request[2:5] == ('ASSOCIATE', 'Plugged', vm.uuid)

    for link in 'up', 'down', 'up':
        if link != vm.link(alpha, PLUGGED):
            vm.update(alpha, update_xml(PLUGGED, link))
        assert vm.link(alpha, PLUGGED) == link
        assert alpha.pool_nics()['eth5'] == 1

    guest.let_slots_settle(alpha)
    vm.unplug(alpha, PLUGGED)
    wait_for(lambda: PLUGGED not in vm.nics(alpha))
    wait_for(lambda: 'eth5' in alpha.idle_nics() and fabric.requests()[-1] != request)
    assert fabric.requests()[-1][1:3] == (request.nic, 'DISASSOCIATE')
    assert alpha.pool_nics()['eth5'] == 0


@ON_BOTH_KINDS
def test_first_nic_on_the_pool_is_plugged_into_a_vm_on_a_host_without_a_pool(alpha):
    vm = VM(profiles=())
    vm.start(alpha)
    assert alpha.conn.listAllNetworks() == []
    vm.add_profile(PLUGGED, 'Plugged')
    assert 'direct-pool started' in vm.plug(alpha, PLUGGED, extra=UNFIT)
    assert vm.vic_nics(alpha) == {PLUGGED: 'eth3'}


def test_nic_that_is_not_in_the_dictionary_is_plugged_as_it_is(alpha):
    vm = VM()
    vm.start(alpha)
    xml = nic_xml(PLUGGED)
    assert alpha.hook('before_nic_hotplug', xml, vm.vmfex, vm.uuid) == (xml, '')
    vm.plug(alpha, PLUGGED)
    assert vm.nics(alpha)[PLUGGED].get('type') == 'bridge'


def test_nic_is_not_plugged_when_none_is_free(alpha):
    vm = VM()
    for number in range(4):
        VM(number).start(alpha)
    VM(4, profiles=('P',)).start(alpha)
    vm.add_profile(PLUGGED, 'Plugged')
    with pytest.raises(HookError, match='^vmfex: direct-pool has 0 free NICs of 9, this VM needs 1'):
        vm.plug(alpha, PLUGGED)


@pytest.mark.parametrize('form', ['bridge', 'network', 'direct'])
def test_link_is_switched_off_and_on(fabric, alpha, form):
    vm = VM()
    vm.start(alpha)
    mac, other = vm.profiles
    definition = vm.definition(alpha)
    for link in 'down', 'down', 'up', 'up':
        log = vm.update(alpha, update_xml(mac, link, form))
        assert 'NIC {} has link {}; whatever'.format(mac, link) in log
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
    """Else before_update_device had no reason to be."""
    vm = VM()
    vm.start(alpha)
    for form in 'bridge', 'network', 'direct':
        with pytest.raises(libvirt.libvirtError):
            vm.on(alpha).updateDeviceFlags(update_xml(vm.macs[0], 'down', form),
                                           libvirt.VIR_DOMAIN_AFFECT_LIVE)


def test_other_libvirts_form_of_an_update_would_not_do(alpha):
    """Else the hook need not tell libvirts apart."""
    vm = VM()
    vm.start(alpha)
    data = vm.on(alpha).XMLDesc()
    live = '<interface type=\'direct\'>' + data.split('<interface type=\'direct\'>')[1].split(
        '</interface>')[0] + '</interface>'
    if WANTS_NETWORK_FORM:
        vm.on(alpha).updateDeviceFlags(live, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        assert alpha.pool_nics()['eth3'] == 0 and alpha.mac('eth3') == vm.macs[0]
    else:
        form = re.sub('<source[^>]*>', "<source network='direct-pool'/>", live).replace("'direct'",
                                                                                      "'network'")
        with pytest.raises(libvirt.libvirtError, match='network'):
            vm.on(alpha).updateDeviceFlags(form, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        assert alpha.pool_nics()['eth3'] == 1


def test_change_of_the_logical_network_leaves_the_nic_on_its_profile(fabric, alpha):
    vm = VM()
    vm.start(alpha)
    mac = vm.macs[0]
    before = vm.vic_nics(alpha)
    log = vm.update(alpha, update_xml(mac, 'up', network='storage'))
    assert log.endswith('vNIC profile, it stays on port profile Profile1 until its next start\n')
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
        xml = nic_xml(mac, link='down')
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
    script.write_text('#!/bin/sh\necho "$@" >> {}\n'.format(log))
    script.chmod(0o755)
    alpha.run('sh', '-ec', 'mount --bind {} $(command -v tc)'.format(script))
    return log


BANDWIDTH = '<bandwidth><inbound average="1000" peak="2000" burst="512"/>' \
            '<outbound average="3000"/></bandwidth>'


def test_bandwidth_is_set_changed_and_taken_away(alpha, tc):
    vm = VM()
    vm.start(alpha)
    mac = vm.macs[0]

    def shaped(extra):
        tc.write_text('')
        vm.update(alpha, update_xml(mac, 'up', extra=extra))
        bandwidth = vm.nics(alpha)[mac].find('bandwidth')
        assert alpha.pool_nics()['eth3'] == 1  # still counted: no other VM gets it
        return tc.read_text(), {} if bandwidth is None else {e.tag: e.attrib for e in bandwidth}

    def limits(calls):
        """What inbound and outbound are at last, in kB/s; None if the shaping is gone."""
        last = {'root': None, 'ingress': None}
        for line in calls.splitlines():
            direction = 'ingress' if 'ingress' in line or 'police' in line else 'root'
            rate = re.search(r'rate (\d+)kbps', line)
            if rate or ' del ' in line:
                last[direction] = int(rate.group(1)) if rate else None
        return last['ingress'], last['root']

    calls, now = shaped(BANDWIDTH)
    assert now == {'inbound': {'average': '1000', 'peak': '2000', 'burst': '512'},
                   'outbound': {'average': '3000'}}
    assert 'dev macvtap0' in calls and limits(calls) == (1000, 3000)
    calls, now = shaped(BANDWIDTH.replace('1000', '1500'))
    assert now['inbound']['average'] == '1500' and limits(calls)[0] == 1500
    calls, now = shaped('<bandwidth><outbound average="7"/></bandwidth>')
    assert now == {'outbound': {'average': '7'}}
    assert limits(calls)[0] in (None, 125000000) and limits(calls)[1] == 7
    calls, now = shaped('')
    # Some libvirts leave their last limit in place, so it has to be one that is none.
    assert now == {} and limits(calls)[1] in (None, 125000000)
    assert shaped('')[0] == shaped('<bandwidth/>')[0] == ''
    shaped(BANDWIDTH)
    calls, now = shaped('')
    assert now == {} and set(limits(calls)) <= {None, 125000000}


def test_vdsms_own_update_of_the_bandwidth_would_not_do(alpha, tc):
    """Else before_update_device could leave the bandwidth to VDSM."""
    vm = VM()
    vm.start(alpha)
    xml, _ = alpha.hook('before_update_device', update_xml(vm.macs[0], 'up'), vm.vmfex, vm.uuid)
    vm.on(alpha).updateDeviceFlags(xml.replace('<tune>', BANDWIDTH + '<tune>'),
                                   libvirt.VIR_DOMAIN_AFFECT_LIVE)
    if WANTS_NETWORK_FORM:  # nothing happens
        assert vm.nics(alpha)[vm.macs[0]].find('bandwidth') is None
    else:  # libvirt gives the NIC away
        assert alpha.pool_nics()['eth3'] == 0 and alpha.mac('eth3') == vm.macs[0]


def test_vm_starts_with_a_bandwidth_and_its_link_is_switched(alpha, tc):
    vm = VM()
    vm.xml = vm.xml.replace(UNFIT, UNFIT + BANDWIDTH)
    vm.start(alpha)
    assert 'rate 1000kbps' in tc.read_text()
    vm.update(alpha, update_xml(vm.macs[0], 'down', extra=BANDWIDTH))
    assert vm.link(alpha, vm.macs[0]) == 'down'
    assert vm.nics(alpha)[vm.macs[0]].find('bandwidth/outbound').get('average') == '3000'
    assert alpha.pool_nics()['eth3'] == 1


@pytest.mark.parametrize('average', ['1000" floor="500', '-1', '4294967296', 5000 * '9', 'x'],
                         ids=['floor', 'negative', '33-bits', '5000-digits', 'text'])
def test_bandwidth_that_libvirt_cannot_set_is_refused(alpha, average):
    vm = VM()
    vm.start(alpha)
    mac = vm.macs[0]
    before = vm.on(alpha).XMLDesc()
    with pytest.raises(HookError, match="^vmfex: NIC {} can't have its bandwidth: .*\n$".format(mac)):
        vm.update(alpha, update_xml(mac, 'down', extra=(
            '<bandwidth><inbound average="{}"/></bandwidth>'.format(average))))
    assert vm.on(alpha).XMLDesc() == before


def test_bandwidth_of_a_bridge_nic_is_its_own_affair(alpha):
    vm = VM()
    vm.start(alpha)
    xml = nic_xml(vm.macs[3], extra='<bandwidth><inbound average="1000" floor="500"/></bandwidth>')
    assert alpha.hook('before_update_device', xml, vm.vmfex, vm.uuid) == (xml, '')


def test_bandwidth_that_the_kernel_refuses_is_one_line(alpha, tc):
    vm = VM()
    vm.start(alpha)
    tc.with_name('tc').write_text('#!/bin/sh\necho no such qdisc >&2; exit 2\n')
    with pytest.raises(HookError, match='^vmfex: libvirt failed: .*tc .*no such qdisc.*\n$'):
        vm.update(alpha, update_xml(vm.macs[0], 'down', extra=BANDWIDTH))
    assert vm.nics(alpha)[vm.macs[0]].find('link').get('state') == 'up'


@pytest.mark.parametrize('vmfex', ["{'00:1a:4a:16:01:51'}", 'a&b', '[]', 40 * 'p', ' P', ' {a}'])
@pytest.mark.parametrize('point', ['before_nic_hotplug', 'before_update_device'])
def test_wrong_property_is_refused_as_at_start(alpha, point, vmfex):
    with pytest.raises(HookError, match='^vmfex: .*custom property vmfex .*\n$') as error:
        alpha.hook(point, nic_xml(PLUGGED), vmfex, VM().uuid)
    if '{' not in vmfex:
        assert str(error.value).startswith(
            'vmfex: NIC {}, custom property vmfex of its vNIC profile: '.format(PLUGGED))


def test_nic_is_unplugged_while_it_is_updated(alpha, tc, tmp_path):
    vm = VM()
    vm.start(alpha)
    xml = update_xml(vm.macs[0], 'down', extra=BANDWIDTH)
    (tmp_path / 'nic.xml').write_text(nic_xml(vm.macs[0]))
    (tmp_path / 'gone.xml').write_text(re.sub('(?s)<interface.*</interface>', '', vm.on(alpha).XMLDesc(
        libvirt.VIR_DOMAIN_XML_SECURE)))
    calls = alpha.calls_of_hook('before_update_device', xml, vm.vmfex, vm.uuid)
    assert calls[-2:] == ['XMLDesc', 'getLibVersion'] and calls.count('XMLDesc') == 2
    # The VM has no operating system that would let go of a NIC: another definition stands in for that.
    fault = 'virsh -q destroy vm0; virsh -q define {0}; virsh -q start vm0'.format(tmp_path / 'gone.xml')
    with pytest.raises(HookError) as error:
        alpha.hook('before_update_device', xml.replace('512', '256'), vm.vmfex, vm.uuid, env={
            'FAULT_CALL': str(len(calls) - 2), 'FAULT_WHEN': 'after', 'FAULT': fault + ' >/dev/null'})
    assert error.value.says('NIC {} was unplugged while'.format(vm.macs[0]))


@pytest.mark.parametrize('property_', ["{'00:1a:4a:16:01:51':'P'}", 'P'])
def test_nic_without_a_mac_is_plugged_as_it_is(alpha, property_):
    xml = '<interface type="bridge"/>'
    assert alpha.hook('before_nic_hotplug', xml, property_) == (xml, '')


def test_half_of_a_failover_pair_is_plugged_as_it_is(alpha):
    xml = '<interface type="hostdev"><mac address="{}"/><teaming type="transient" ' \
          'persistent="ua-1"/></interface>'.format(PLUGGED)
    assert alpha.hook('before_nic_hotplug', xml, "{{'{}': 'P'}}".format(PLUGGED)) == (xml, '')
    assert alpha.hook('before_nic_hotplug', xml, 'P') == (xml, '')


def test_update_of_a_vm_that_is_gone_is_one_line(alpha):
    with pytest.raises(HookError, match='^vmfex: libvirt failed: Domain not found.*\n$'):
        alpha.hook('before_update_device', nic_xml(PLUGGED), VM().vmfex, VM().uuid)


# NICs with a port profile of their own, from their vNIC profile.

@pytest.mark.parametrize('profile', ['Own', 'VM network 2', '00:1a:4a:16:01:51'])
def test_nic_with_its_own_profile_is_plugged(fabric, alpha, profile):
    vm = VM(profiles=())
    vm.start(alpha)
    assert 'to port profile {};'.format(profile) in vm.plug(alpha, PLUGGED, profile, extra=UNFIT)
    assert vm.vic_nics(alpha) == {PLUGGED: 'eth3'}
    assert [request.profile for request in fabric.requests()] == [profile]
    vm.update(alpha, update_xml(PLUGGED, 'down'), profile)
    assert vm.nics(alpha)[PLUGGED].find('link').get('state') == 'down'


def test_nic_runs_on_its_old_profile_whatever_its_vnic_profile_says_by_now(fabric, alpha):
    vm = VM(profiles=(), own=('Own',))
    vm.start(alpha)
    mac = vm.macs[0]
    for property_, link in (('Other', 'down'), (None, 'up'), ('{}', 'down'), ('Own', 'up'),
                            ('', 'down')):
        log = vm.update(alpha, update_xml(mac, link, network='storage'), property_)
        assert 'it stays on port profile Own until its next start' in log
        assert vm.link(alpha, mac) == link
        assert alpha.pool_nics()['eth3'] == 1
    assert len(fabric.requests()) == 1


def test_update_of_a_vm_that_has_nothing_to_do_with_vmfex_is_left_untouched(alpha):
    vm = VM(profiles=())
    vm.start(alpha)
    xml = nic_xml(vm.macs[0], link='down')
    assert alpha.hook('before_update_device', xml, None, vm.uuid) == (xml, '')
    assert alpha.hook('before_update_device', xml, 'Own', vm.uuid) == (xml, '')
    assert alpha.conn.listAllNetworks() == []
