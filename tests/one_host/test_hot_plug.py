# SPDX-License-Identifier: GPL-2.0-or-later
"""NICs that are plugged into a running VM, and unplugged."""

import pytest

from tests.lab import guest
from tests.lab.kinds import ON_BOTH_KINDS
from tests.lab.vm import VM
from tests.lab.wait import wait_for
from tests.vdsm_runner import HookError
from tests.xml_builders import PLUGGED, UNFIT, engine_nic_xml


@ON_BOTH_KINDS
def test_nic_is_plugged_into_a_running_vm_and_unplugged(fabric, alpha, tmp_path):
    vm = VM()
    vm.add_profile(PLUGGED, 'Plugged')
    logs = []
    with guest.linux(vm, str(tmp_path), lambda: logs.append(vm.start(alpha))):
        assert 'no NIC of this VM has MAC address ' + PLUGGED in logs[0]
        plug_switch_and_unplug(fabric, alpha, vm)


def plug_switch_and_unplug(fabric, alpha, vm):
    guest.let_slots_settle(alpha)
    log = vm.plug(alpha, PLUGGED, extra=UNFIT)
    assert log == (
        'vmfex: NIC {} moved from ovirtmgmt to port profile Plugged; removed: filterref, port, mtu\n'
    ).format(PLUGGED)
    assert vm.vic_nics(alpha)[PLUGGED] == 'eth5'
    assert alpha.mac('eth5') == PLUGGED
    request = fabric.requests()[-1]
    assert alpha.nic_of(request.nic) == 'eth5'
    assert request[2:5] == ('ASSOCIATE', 'Plugged', vm.uuid)

    for link in 'up', 'down', 'up':
        if link != vm.link(alpha, PLUGGED):
            vm.update(alpha, engine_nic_xml(PLUGGED, link=link, extra=UNFIT))
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
    xml = engine_nic_xml(PLUGGED)
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


@pytest.mark.parametrize('profile', ['Own', 'VM network 2', '00:1a:4a:16:01:51'])
def test_nic_with_its_own_profile_is_plugged(fabric, alpha, profile):
    vm = VM(profiles=())
    vm.start(alpha)
    assert 'to port profile {};'.format(profile) in vm.plug(alpha, PLUGGED, profile, extra=UNFIT)
    assert vm.vic_nics(alpha) == {PLUGGED: 'eth3'}
    assert [request.profile for request in fabric.requests()] == [profile]
    vm.update(alpha, engine_nic_xml(PLUGGED, link='down', extra=UNFIT), profile)
    assert vm.nics(alpha)[PLUGGED].find('link').get('state') == 'down'
