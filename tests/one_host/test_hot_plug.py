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
    with guest.linux(vm, str(tmp_path), lambda: logs.append(vm.start(alpha))) as wait_until_up:
        assert 'no NIC of this VM has MAC address ' + PLUGGED in logs[0]
        guest.let_slots_settle(alpha)
        moved = f'vmfex: NIC {PLUGGED} moved from ovirtmgmt to port profile Plugged; '
        assert vm.plug(alpha, PLUGGED, extra=UNFIT) == moved + 'removed: filterref, port, mtu\n'
        assert vm.vic_nics(alpha)[PLUGGED] == 'eth5' and alpha.mac('eth5') == PLUGGED
        assert fabric.ports(alpha, 'ASSOCIATE')[2:] == [('eth5', 'Plugged', vm.uuid)]

        for link in 'up', 'down', 'up':
            if link != vm.link(alpha, PLUGGED):
                vm.update(alpha, engine_nic_xml(PLUGGED, link=link, extra=UNFIT))
            assert vm.link(alpha, PLUGGED) == link
            assert alpha.pool_nics()['eth5'] == 1

        wait_until_up(PLUGGED)
        vm.unplug(alpha, PLUGGED)
        wait_for(lambda: PLUGGED not in vm.nics(alpha))
        wait_for(lambda: fabric.ports(alpha, 'DISASSOCIATE') == [('eth5', '-', '-')])
        wait_for(lambda: 'eth5' in alpha.idle_nics())
        assert alpha.pool_nics()['eth5'] == 0


def test_first_nic_on_the_pool_is_plugged_in_on_a_host_without_a_pool(fabric, alpha):
    vm, own = VM(profiles=()), 'VM network 2'
    vm.start(alpha)
    log = vm.plug(alpha, PLUGGED, own, extra=UNFIT)
    assert f'to port profile {own};' in log and 'direct-pool started' in log
    assert fabric.ports(alpha, 'ASSOCIATE') == [('eth3', own, vm.uuid)]
    vm.update(alpha, engine_nic_xml(PLUGGED, link='down', extra=UNFIT), own)
    assert vm.nics(alpha)[PLUGGED].find('link').get('state') == 'down'


def test_nic_is_plugged_as_it_is_if_not_in_the_dictionary_and_not_if_none_is_free(alpha):
    vm, other = VM(), VM(1, profiles=7 * ('P',), nics=7)
    for each in vm, other:
        each.start(alpha)
    xml = engine_nic_xml(PLUGGED)
    assert alpha.hook('before_nic_hotplug', xml, vm.vmfex, vm.uuid) == (xml, '')
    vm.add_profile(PLUGGED, 'Plugged')
    with pytest.raises(HookError, match='^vmfex: direct-pool has 0 free NICs of 9, this VM needs 1'):
        vm.plug(alpha, PLUGGED)
