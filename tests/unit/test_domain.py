# SPDX-License-Identifier: GPL-2.0-or-later

from xml.dom import minidom

import pytest

from tests.unit import refused
from tests.xml_builders import MIRRORING, OWN, alias_of, domain_xml, metadata_of, nic_xml, pool_nic_xml, same
from vmfex import domain
from vmfex.custom_property import Port
from vmfex.interface import Interface

A, B = '00:1a:4a:16:01:51', '00:1a:4a:16:01:52'
P = {A: 'P'}
# What libvirt makes of such a source when the VM runs.
LIVE = ' portid="8b3f4a4e-6d0c-4f59-9a3e-0b9c4d3c7e11" dev="eth3" mode="passthrough"'
ON_POOL, ELSEWHERE = '<source network="direct-pool"/>', '<source network="default"/>'
NO_MAC = '<interface type="bridge"><source bridge="direct-pool"/></interface>'
NIC, MOVED, OTHER = nic_xml(A), pool_nic_xml(A, 'P'), nic_xml(B, '<filterref filter="x"/>')
# A failover pair.
OUR_HALF = '<teaming type="persistent"/>'
HALF = nic_xml(A, '<teaming type="transient" persistent="ua-1"/>', 'hostdev', '')


ALIAS = f'<alias name="{alias_of(A)}"/>'
PAIR_MOVED = HALF + pool_nic_xml(A, 'P', OUR_HALF + ALIAS)
PAIR = HALF + nic_xml(A, OUR_HALF + ALIAS)


def move(xml, profiles):
    """Move the NICs of a domain's XML. Returns the XML that comes out, and the log."""
    doc = minidom.parseString(xml)
    ports = {mac: Port(profile) for mac, profile in profiles.items()}
    moved, log = domain.move_interfaces(doc.documentElement, ports)
    assert moved == (not same(doc.toxml(), xml))
    return doc.toxml(), log


def own(value, mac=A):
    """Return what a domain's metadata says of a NIC whose vNIC profile has that value of vmfex."""
    return metadata_of(mac, OWN.format(value))


OF_THE_OTHER_HALF = own('Q').replace(alias_of(A), 'ua-2')

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
    xml, [line] = move(domain_xml(nic_xml(A, REFUSED_BY_LIBVIRT + ALLOWED)), P)
    assert same(xml, domain_xml(pool_nic_xml(A, 'P', ALLOWED)))
    removed = 'virtualport, filterref, port, mtu, vlan, coalesce, backend'
    assert line == f'NIC {A} moved from ovirtmgmt to port profile P; removed: {removed}'


# id: (the VM's dictionary, metadata, NICs, NICs as they become, where the one that moves was)
MOVE = {
    'upper-case': (P, '', nic_xml(A.upper()), pool_nic_xml(A.upper(), 'P'), 'ovirtmgmt'),
    'another': (P, '', NIC + OTHER, MOVED + OTHER, 'ovirtmgmt'),
    'pair': (P, '', HALF + nic_xml(A, OUR_HALF), HALF + pool_nic_xml(A, 'P', OUR_HALF), 'ovirtmgmt'),
    'own-of-each-half': ({}, own('P') + OF_THE_OTHER_HALF, PAIR, PAIR_MOVED, 'ovirtmgmt'),
    'own-of-each-half-backwards': ({}, OF_THE_OTHER_HALF + own('P'), PAIR, PAIR_MOVED, 'ovirtmgmt'),
    'runs': (P, '', pool_nic_xml(A, 'Q', '', 'direct', LIVE), MOVED, 'port profile Q'),
    'no-profile': (P, '', nic_xml(A, '', 'network', ON_POOL), MOVED, 'port profile none'),
    'no-source': (P, '', nic_xml(A, source=''), MOVED, 'port profile none'),
    'own': ({}, own('P', A.upper()), NIC + OTHER, MOVED + OTHER, 'ovirtmgmt'),
    'own-with-comment': ({}, own('P<!-- Q -->'), NIC, MOVED, 'ovirtmgmt'),
    'own-as-cdata': ({}, own('<![CDATA[P]]>'), NIC, MOVED, 'ovirtmgmt'),
    'not-mirrored': (P, metadata_of(A, '<ovirt-vm:portMirroring/>'), NIC, MOVED, 'ovirtmgmt'),
    'other-is-mirrored': (P, metadata_of(B, MIRRORING), NIC + OTHER, MOVED + OTHER, 'ovirtmgmt'),
}


@pytest.mark.parametrize('profiles, devices, before, after, place', MOVE.values(), ids=list(MOVE))
def test_nic_with_a_port_profile_moves_and_no_other_changes(profiles, devices, before, after, place):
    xml, [line] = move(domain_xml(before, devices=devices), profiles)
    assert same(xml, domain_xml(after, devices=devices))
    assert line.startswith(f'NIC {A} moved from {place} to port profile P')


@pytest.mark.parametrize('unused', ['Own', 'a&amp;b'])
def test_dictionary_wins_over_the_vnic_profile_whatever_it_has_and_the_log_says_so(unused):
    xml, log = move(domain_xml(NIC, nic_xml(B), devices=own(unused)), {A: 'P', B: 'P'})
    assert same(xml, domain_xml(MOVED, pool_nic_xml(B, 'P'), devices=own(unused)))
    assert log[0] == f"NIC {A} has a port profile by its vNIC profile; P, the VM's, counts"
    assert len(log) == 3


NOT_THERE, ALREADY = f'no NIC of this VM has MAC address {A}', f'NIC {A} is on port profile P already'
NOT_OWN = '<ovirt-vm:vmfex>P</ovirt-vm:vmfex><custom><vmfex>P</vmfex></custom><ovirt-vm:custom/>'
# id: (domain or NIC, the VM's dictionary, log)
STAY = {
    'other-mac': (domain_xml(nic_xml(B), NO_MAC), P, [NOT_THERE]),
    'not-a-device': (f'<domain>{NIC}<devices/></domain>', P, [NOT_THERE]),
    'namespace': (domain_xml(nic_xml(A, attributes=' xmlns="urn:x"')), P, [NOT_THERE]),
    'on-the-pool': (domain_xml(MOVED), P, [ALREADY]),
    'runs': (pool_nic_xml(A, 'P', '', 'direct', LIVE), P, [ALREADY]),
    'no-mac': (NO_MAC, {'': 'P'}, []),
    'own-of-no-mac': (domain_xml(NO_MAC, devices=own('P', '')), {}, []),
    'own-of-no-nic': (domain_xml(nic_xml(B), devices=own('a&amp;b')), {}, []),
    'own-of-the-other-half': (domain_xml(PAIR, devices=OF_THE_OTHER_HALF), {}, []),
    'own-is-empty': (domain_xml(NIC, devices=own('')), {}, []),
    'own-is-elsewhere': (domain_xml(NIC, devices=metadata_of(A, NOT_OWN)), {}, []),
}


@pytest.mark.parametrize('xml, profiles, log', STAY.values(), ids=list(STAY))
def test_what_is_not_named_or_has_moved_is_left_untouched(xml, profiles, log):
    new, new_log = move(xml, profiles)
    assert same(new, xml) and new_log == log


NOT_A_BRIDGE = f"NIC {A} is of type '{{}}', only a bridge NIC can move to VM-FEX: remove it from"
MIRRORED = f"NIC {A} has port mirroring, which would send its bridge's traffic to VM-FEX: remove"
WRONG_OWN = f'of the vNIC profile of NIC {A}: {{!r}} is not a port profile: use 1'
# id: (NIC, metadata, the VM's dictionary, what the line says)
REFUSED = {
    'hostdev': (nic_xml(A, type='hostdev'), '', P, NOT_A_BRIDGE.format('hostdev')),
    'network': (nic_xml(A, '', 'network', ELSEWHERE), '', P, NOT_A_BRIDGE.format('network')),
    'direct': (nic_xml(A, '', 'direct', f'<source{LIVE}/>'), '', P, NOT_A_BRIDGE.format('direct')),
    'mirrored': (NIC, metadata_of(A, MIRRORING), P, MIRRORED),
    'mirrored-and-own': (NIC, metadata_of(A, MIRRORING + OWN.format('P')), {}, MIRRORED),
    'own': (NIC, own('a&amp;b'), {}, WRONG_OWN.format('a&b')),
    'own-with-space': (NIC, own(' P'), {}, WRONG_OWN.format(' P')),
    'own-with-element': (NIC, own('P<x>Q</x>'), {}, WRONG_OWN.format('P<x>Q</x>')),
}


@pytest.mark.parametrize('nic, devices, profiles, says', REFUSED.values(), ids=list(REFUSED))
def test_nic_that_cannot_move_is_refused(nic, devices, profiles, says):
    with refused(says):
        move(domain_xml(nic, devices=devices), profiles)


@pytest.mark.parametrize('version, form, source', [(10007000, 'direct', LIVE), (10008000, 'network', '')])
@pytest.mark.parametrize('before', ['', '<link state="up"/>', '<link state="down"/>'])
@pytest.mark.parametrize('link', ['<link state="up"/>', '<link state="down"/>', ''])
def test_update_is_the_running_nic_in_libvirts_form_with_the_asked_link(version, form, source, before, link):
    rest = '<bandwidth><inbound average="1000"/></bandwidth><target dev="macvtap0"/>'
    running = minidom.parseString(pool_nic_xml(A, 'P', rest + before, 'direct', LIVE))
    waits = '<bandwidth><inbound average="7"/></bandwidth><mtu size="1500"/>'
    asked = minidom.parseString(nic_xml(A, link + waits, source='<source bridge="storage"/>'))
    line = Interface(running.documentElement).make_link_update(Interface(asked.documentElement), version)
    assert same(running.toxml(), pool_nic_xml(A, 'P', rest + link, form, source))
    state = 'down' if 'down' in link else 'up'
    assert line.startswith(f'NIC {A} has link {state}; it stays on port profile P, ')
