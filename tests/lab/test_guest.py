# SPDX-License-Identifier: GPL-2.0-or-later
"""
A guest with an operating system: its NICs serve, let go and go along.

What is sent to a multicast address has to reach it. An IPv6 address that the guest did not get from a
router can be found by multicast alone (neighbour solicitation, RFC 4861): who pings it proves it.
"""

import itertools

import libvirt

from tests.lab import guest
from tests.lab.kinds import ON_ALL_KINDS
from tests.lab.vm import VM
from tests.lab.wait import wait_for
from tests.xml_builders import PLUGGED, UNFIT, engine_nic_xml


@ON_ALL_KINDS
def test_nics_of_a_guest_serve_and_one_is_plugged_in_and_unplugged(fabric, alpha, beta, tmp_path):
    vm = VM(profiles=('Profile1',), nics=2)
    vm.add_profile(PLUGGED, 'Plugged')
    mac = vm.macs[0]
    guest.give_linux(vm, str(tmp_path))
    assert 'no NIC of this VM has MAC address ' + PLUGGED in vm.start(alpha)
    for nic in vm.macs:
        guest.wait_for_answer(alpha, vm, nic)
    guest.let_slots_settle(alpha)
    moved = f'vmfex: NIC {PLUGGED} moved from ovirtmgmt to port profile Plugged; '
    assert vm.plug(alpha, PLUGGED, extra=UNFIT) == moved + 'removed: filterref, port, mtu\n'
    names = vm.vic_nics(alpha)
    assert names == {mac: 'eth3', PLUGGED: 'eth4'} and alpha.mac('eth4') == PLUGGED
    assert fabric.ports(alpha, 'ASSOCIATE') == vm.ports(names)

    for nic, link in itertools.product(names, ('down', 'up')):
        vm.update(alpha, engine_nic_xml(nic, link=link, extra=UNFIT))
        assert vm.link(alpha, nic) == link and alpha.pool_nics()[names[nic]] == 1
    for nic in names:
        guest.wait_for_answer(alpha, vm, nic)

    vm.unplug(alpha, PLUGGED)
    wait_for(lambda: PLUGGED not in vm.nics(alpha))
    wait_for(lambda: fabric.ports(alpha, 'DISASSOCIATE') == [('eth4', '-', '-')])
    wait_for(lambda: 'eth4' in alpha.idle_nics())
    assert alpha.pool_nics()['eth4'] == 0

    vm.migrate(alpha, beta)
    if libvirt.getVersion() >= 8000000:  # 7.0 does not ask QEMU for the guest's filter there
        guest.wait_for_answer(beta, vm, mac)
