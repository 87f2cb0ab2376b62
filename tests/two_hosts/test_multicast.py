# SPDX-License-Identifier: GPL-2.0-or-later
"""
What is sent to a multicast address reaches the guest.

An IPv6 address that the guest did not get from a router can be found by multicast alone (neighbour
solicitation, RFC 4861): who pings it from the fabric proves it.
"""

import libvirt

from tests.lab import guest
from tests.lab.vm import VM
from tests.xml_builders import PLUGGED, UNFIT, engine_nic_xml


def answers(vm, host, mac):
    """Ping a VM's NIC from the fabric."""
    assert guest.answers(host, host.peer(vm.vic_nics(host)[mac]), mac)


def test_guest_with_a_static_ipv6_address_is_found_from_the_fabric(alpha, beta, tmp_path):
    vm = VM(profiles=('Profile1',), nics=2)
    mac, bridged = vm.macs
    with guest.linux(vm, str(tmp_path), lambda: vm.start(alpha)):
        answers(vm, alpha, mac)
        assert guest.answers(alpha, 'ovirtmgmt', bridged)

        for link in 'down', 'up':
            vm.update(alpha, engine_nic_xml(mac, link=link, extra=UNFIT))
        answers(vm, alpha, mac)

        vm.add_profile(PLUGGED, 'Plugged')
        vm.plug(alpha, PLUGGED, extra=UNFIT)
        answers(vm, alpha, PLUGGED)

        vm.migrate(alpha, beta)
        if libvirt.getVersion() >= 8000000:  # 7.0 does not ask QEMU for the guest's filter there
            answers(vm, beta, mac)
            answers(vm, beta, PLUGGED)
