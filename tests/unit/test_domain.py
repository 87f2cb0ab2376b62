# SPDX-License-Identifier: GPL-2.0-or-later

import re
from xml.dom import minidom

import pytest

from tests.unit import refused
from tests.xml_builders import MIRRORING, OWN, domain_xml, metadata_of, nic_xml, pool_nic_xml, same
from vmfex import domain
from vmfex.custom_property import Port
from vmfex.interface import Interface

A, B = '00:1a:4a:16:01:51', '00:1a:4a:16:01:52'
# What libvirt makes of such a source when the VM runs.
LIVE = ' portid="8b3f4a4e-6d0c-4f59-9a3e-0b9c4d3c7e11" dev="eth3" mode="passthrough"'
ON_POOL, ELSEWHERE = '<source network="direct-pool"/>', '<source network="default"/>'
NO_MAC = '<interface type="bridge"><source bridge="direct-pool"/></interface>'
OTHER = nic_xml(B, '<filterref filter="x"/>')
# A failover pair.
OUR_HALF = '<teaming type="persistent"/>'
HALF = nic_xml(A, '<teaming type="transient" persistent="ua-1"/>', 'hostdev', '')


def move(xml, profiles):
    """Move the NICs of a domain's XML. Returns the XML that comes out, and the log."""
    doc = minidom.parseString(xml)
    ports = {mac: Port(profile) for mac, profile in profiles.items()}
    moved, log = domain.move_interfaces(doc.documentElement, ports)
    assert moved == (not same(doc.toxml(), xml))
    return doc.toxml(), log


def with_metadata(children, *nics, mac=A):
    """Return a domain whose metadata has these elements for the NIC with that MAC address."""
    return domain_xml(*nics, devices=metadata_of(mac, children))


def with_own(value, *nics, mac=A):
    """Return a domain whose metadata has that value of vmfex for the NIC with that MAC address."""
    return with_metadata(OWN.format(value), *nics, mac=mac)


REFUSED_BY_LIBVIRT = """\
<mtu size="9000"/><filterref filter="clean-traffic"><parameter name="IP" value="192.0.2.1"/></filterref>\
<coalesce><rx><frames max="7"/></rx></coalesce><backend tap="/dev/net/tun" vhost="/dev/vhost-net"/>\
<port isolated="yes"/><vlan><tag id="120"/></vlan>\
<virtualport type="openvswitch"><parameters profileid="P"/></virtualport>"""
ALLOWED = """
<model type="e1000e"/><link state="down"/><boot order="1"/><driver name="vhost" queues="4"/><acpi index="7"/>
<address type="pci" domain="0x0000" bus="0x02" slot="0x00" function="0x0"/><target dev="vnet0"/>
<alias name="ua-1a8a0f46-7a3b-4dd1-9d25-f6e4cc0d81a1"/><bandwidth><inbound average="1000"/></bandwidth>
<tune><sndbuf>0</sndbuf></tune><teaming type="persistent"/><rom enabled="no"/><guest dev="eth0"/>
<!-- a comment --><x:source xmlns:x="urn:x" network="mine"/><x><source/><mtu size="1"/></x>"""


def test_what_libvirt_refuses_on_the_pool_is_removed_and_named_and_the_rest_stays():
    xml, [line] = move(domain_xml(nic_xml(A, REFUSED_BY_LIBVIRT + ALLOWED)), {A: 'P'})
    assert same(xml, domain_xml(pool_nic_xml(A, 'P', ALLOWED)))
    removed = 'virtualport, filterref, port, mtu, vlan, coalesce, backend'
    assert line == f'NIC {A} moved from ovirtmgmt to port profile P; removed: {removed}'


# id: (NICs, NICs as they become, where the one that moves was)
MOVE = {
    'upper-case': (nic_xml(A.upper()), pool_nic_xml(A.upper(), 'P'), 'ovirtmgmt'),
    'another': (nic_xml(A) + OTHER, pool_nic_xml(A, 'P') + OTHER, 'ovirtmgmt'),
    'pair': (HALF + nic_xml(A, OUR_HALF), HALF + pool_nic_xml(A, 'P', OUR_HALF), 'ovirtmgmt'),
    'runs': (pool_nic_xml(A, 'Q', '', 'direct', LIVE), pool_nic_xml(A, 'P'), 'port profile Q'),
    'no-profile': (nic_xml(A, '', 'network', ON_POOL), pool_nic_xml(A, 'P'), 'port profile none'),
    'no-source': (nic_xml(A, source=''), pool_nic_xml(A, 'P'), 'port profile none'),
}


@pytest.mark.parametrize('before, after, place', MOVE.values(), ids=list(MOVE))
def test_nic_of_the_dictionary_moves_and_no_other_changes(before, after, place):
    xml, [line] = move(domain_xml(before), {A: 'P'})
    assert same(xml, domain_xml(after))
    assert line.startswith(f'NIC {A} moved from {place} to port profile P')


@pytest.mark.parametrize('value', ['P', 'P<!-- Q -->', '<![CDATA[P]]>'])
def test_nic_whose_vnic_profile_has_a_port_profile_moves(value):
    xml, log = move(with_own(value, nic_xml(A), nic_xml(B), mac=A.upper()), {})
    assert same(xml, with_own(value, pool_nic_xml(A, 'P'), nic_xml(B), mac=A.upper()))
    assert log == [f'NIC {A} moved from ovirtmgmt to port profile P']


@pytest.mark.parametrize('unused', ['Own', 'a&amp;b'])
def test_dictionary_wins_over_the_vnic_profile_whatever_it_has_and_the_log_says_so(unused):
    xml, log = move(with_own(unused, nic_xml(A), nic_xml(B)), {A: 'P', B: 'P'})
    assert same(xml, with_own(unused, pool_nic_xml(A, 'P'), pool_nic_xml(B, 'P')))
    assert log[0] == f"NIC {A} has a port profile by its vNIC profile; P, the VM's, counts"
    assert len(log) == 3


NOT_THERE, ALREADY = f'no NIC of this VM has MAC address {A}', f'NIC {A} is on port profile P already'
NOT_OWN = '<ovirt-vm:vmfex>P</ovirt-vm:vmfex><custom><vmfex>P</vmfex></custom><ovirt-vm:custom/>'
# id: (domain or NIC, the VM's dictionary, log)
STAY = {
    'other-mac': (domain_xml(nic_xml(B), NO_MAC), {A: 'P'}, [NOT_THERE]),
    'not-a-device': (f'<domain>{nic_xml(A)}<devices/></domain>', {A: 'P'}, [NOT_THERE]),
    'nested': (domain_xml(f'<hostdev>{nic_xml(A)}</hostdev>'), {A: 'P'}, [NOT_THERE]),
    'namespace': (domain_xml(nic_xml(A, attributes=' xmlns="urn:x"')), {A: 'P'}, [NOT_THERE]),
    'on-the-pool': (domain_xml(pool_nic_xml(A, 'P')), {A: 'P'}, [ALREADY]),
    'runs': (pool_nic_xml(A, 'P', '', 'direct', LIVE), {A: 'P'}, [ALREADY]),
    'no-mac': (NO_MAC, {'': 'P'}, []),
    'own-of-no-mac': (with_own('P', NO_MAC, mac=''), {}, []),
    'own-of-no-nic': (with_own('a&amp;b', nic_xml(B)), {}, []),
    'own-is-empty': (with_own('', nic_xml(A)), {}, []),
    'own-is-elsewhere': (with_metadata(NOT_OWN, nic_xml(A)), {}, []),
}


@pytest.mark.parametrize('xml, profiles, log', STAY.values(), ids=list(STAY))
def test_what_is_not_named_or_has_moved_is_left_untouched(xml, profiles, log):
    new, new_log = move(xml, profiles)
    assert same(new, xml) and new_log == log


NOT_A_BRIDGE = f"NIC {A} is of type '{{}}', only a bridge NIC can move to VM-FEX: remove it from"
MIRRORED = (
    f"NIC {A} has port mirroring, which would send its bridge's traffic to VM-FEX: remove port mirroring"
)
WRONG_OWN = f'of the vNIC profile of NIC {A}: {{!r}} is not a port profile: use 1'
# id: (domain or NIC, the VM's dictionary, what the line says)
REFUSED = {
    'hostdev': (domain_xml(nic_xml(A, type='hostdev')), {A: 'P'}, NOT_A_BRIDGE.format('hostdev')),
    'network': (nic_xml(A, '', 'network', ELSEWHERE), {A: 'P'}, NOT_A_BRIDGE.format('network')),
    'mirrored': (with_metadata(MIRRORING, nic_xml(A)), {A: 'P'}, MIRRORED),
    'mirrored-and-own': (with_metadata(MIRRORING + OWN.format('P'), nic_xml(A)), {}, MIRRORED),
    'own': (with_own('a&amp;b', nic_xml(A)), {}, WRONG_OWN.format('a&b')),
    'own-with-space': (with_own(' P', nic_xml(A)), {}, WRONG_OWN.format(' P')),
    'own-with-element': (with_own('P<x>Q</x>', nic_xml(A)), {}, WRONG_OWN.format('P<x>Q</x>')),
}


@pytest.mark.parametrize('xml, profiles, says', REFUSED.values(), ids=list(REFUSED))
def test_nic_that_cannot_move_is_refused(xml, profiles, says):
    with refused(says):
        move(xml, profiles)


@pytest.mark.parametrize('children, mac', [('<ovirt-vm:portMirroring/>', A), (MIRRORING, B)])
def test_nic_moves_if_only_another_has_port_mirroring(children, mac):
    assert '802.1Qbh' in move(with_metadata(children, nic_xml(A), nic_xml(B), mac=mac), {A: 'P'})[0]


def test_domain_of_the_engine_changes_in_its_nics_only(domain_of_the_engine):
    interface = re.compile('<interface.*?</interface>', re.DOTALL)
    xml, log = move(domain_of_the_engine.encode(), {f'00:1a:4a:16:01:5{i}': 'P' for i in (1, 2, 4, 5)})
    moved = [number for number, nic in enumerate(interface.findall(xml)) if '802.1Qbh' in nic]
    assert len(log) == 4 and moved == [0, 1, 3, 4]
    assert same(interface.sub('', xml), interface.sub('', domain_of_the_engine).encode())


def test_nics_on_the_pool_are_found():
    there = nic_xml(A, '', 'network', ON_POOL), pool_nic_xml(A, 'P', '', 'direct', LIVE)
    elsewhere = nic_xml(B, '', 'network', ELSEWHERE), nic_xml(B, '', 'direct', f'<source{LIVE}/>'), NO_MAC
    root = minidom.parseString(domain_xml(*there, *elsewhere)).documentElement
    assert [interface.mac for interface in domain.find_on_pool(root)] == [A, A]


# The update of a NIC that runs: in both forms, whatever libvirt is here.


@pytest.mark.parametrize('version, form', [(10007000, 'direct'), (10008000, 'network')])
@pytest.mark.parametrize('before', ['', '<link state="up"/>', '<link state="down"/>'])
@pytest.mark.parametrize('link', ['<link state="up"/>', '<link state="down"/>', ''])
def test_update_is_the_running_nic_in_libvirts_form_with_the_asked_link(version, form, before, link):
    rest = '<bandwidth><inbound average="1000"/></bandwidth><target dev="macvtap0"/>'
    running = minidom.parseString(pool_nic_xml(A, 'P', rest + before, 'direct', LIVE))
    waits = '<bandwidth><inbound average="7"/></bandwidth><mtu size="1500"/>'
    asked = minidom.parseString(nic_xml(A, link + waits, source='<source bridge="storage"/>'))
    line = Interface(running.documentElement).set_link(Interface(asked.documentElement), version)
    assert same(running.toxml(), pool_nic_xml(A, 'P', rest + link, form, LIVE if form == 'direct' else ''))
    state = 'down' if 'down' in link else 'up'
    assert line.startswith(f'NIC {A} has link {state}; it stays on port profile P, ')
