# SPDX-License-Identifier: GPL-2.0-or-later

from xml.dom import minidom

import pytest

from tests.unit import cases
from tests.xml_builders import MIRRORING, OWN, domain_xml, metadata_of, nic_xml, pool_nic_xml, same
from vmfex import nics
from vmfex.failure import Failure

A, B = '00:1a:4a:16:01:51', '00:1a:4a:16:01:52'
# What libvirt makes of such a source when the VM runs.
LIVE = ' portid="8b3f4a4e-6d0c-4f59-9a3e-0b9c4d3c7e11" dev="eth3" mode="passthrough"'
ON_POOL = '<source network="direct-pool"/>'
OTHER = nic_xml(B, '<filterref filter="x"/>')
# A failover pair.
OUR_HALF = '<teaming type="persistent"/>'
HALF = nic_xml(A, '<teaming type="transient" persistent="ua-1"/>', 'hostdev', '')


def move(xml, profiles):
    """Move the NICs of a domain's XML. Returns the XML that comes out, and the log."""
    doc = minidom.parseString(xml)
    moved, log = nics.move_all(doc.documentElement, profiles)
    assert moved == (not same(doc.toxml(), xml))
    return doc.toxml(), log


def with_own(value, *nics, mac=A):
    """Return a domain whose metadata has that value of vmfex for the NIC with that MAC address."""
    return domain_xml(*nics, devices=metadata_of(mac, OWN.format(value)))


def test_bridge_nic_becomes_a_802_1Qbh_nic_on_the_pool_in_the_place_of_its_source():
    xml, log = move(
        '<interface type="bridge">\n'
        '  <mac address="00:1a:4a:16:01:51"/>\n'
        '  <mtu size="1500"/>\n'
        '  <source bridge="ovirtmgmt"/>\n'
        '  <model type="virtio"/>\n'
        '</interface>',
        {A: 'Profile1'},
    )
    assert same(
        xml,
        '<interface type="network" trustGuestRxFilters="yes">\n'
        '  <mac address="00:1a:4a:16:01:51"/>\n'
        '  \n'
        '  <source network="direct-pool"/>'
        '<virtualport type="802.1Qbh"><parameters profileid="Profile1"/></virtualport>\n'
        '  <model type="virtio"/>\n'
        '</interface>',
    )
    assert log == ['NIC 00:1a:4a:16:01:51 moved from ovirtmgmt to port profile Profile1; removed: mtu']


REFUSED = """\
<mtu size="9000"/><filterref filter="clean-traffic"><parameter name="IP" value="192.0.2.1"/></filterref>\
<coalesce><rx><frames max="7"/></rx></coalesce><backend tap="/dev/net/tun" vhost="/dev/vhost-net"/>\
<port isolated="yes"/><vlan><tag id="120"/></vlan>\
<virtualport type="openvswitch"><parameters profileid="P"/></virtualport>"""
ALLOWED = """
<model type="e1000e"/><link state="down"/><boot order="1"/><driver name="vhost" queues="4"/>
<address type="pci" domain="0x0000" bus="0x02" slot="0x00" function="0x0"/><target dev="vnet0"/>
<alias name="ua-1a8a0f46-7a3b-4dd1-9d25-f6e4cc0d81a1"/><bandwidth><inbound average="1000"/></bandwidth>
<tune><sndbuf>0</sndbuf></tune><teaming type="persistent"/><rom enabled="no"/><guest dev="eth0"/>
<acpi index="7"/><!-- a comment --><x:source xmlns:x="urn:x" network="mine"/><x><mtu size="1"/></x>"""


def test_what_libvirt_refuses_on_the_pool_is_removed_and_named_and_the_rest_stays():
    xml, [line] = move(domain_xml(nic_xml(A, REFUSED + ALLOWED)), {A: 'P'})
    assert same(xml, domain_xml(pool_nic_xml(A, 'P', ALLOWED)))
    assert line.endswith('; removed: virtualport, filterref, port, mtu, vlan, coalesce, backend')


# id: (NICs, NICs as they become, where the one that moves was)
MOVE = {
    'upper-case': (nic_xml(A.upper()), pool_nic_xml(A.upper(), 'P'), 'ovirtmgmt'),
    'another': (nic_xml(A) + OTHER, pool_nic_xml(A, 'P') + OTHER, 'ovirtmgmt'),
    'pair': (HALF + nic_xml(A, OUR_HALF), HALF + pool_nic_xml(A, 'P', OUR_HALF), 'ovirtmgmt'),
    'pair-turned': (nic_xml(A) + HALF, pool_nic_xml(A, 'P') + HALF, 'ovirtmgmt'),
    'on-the-pool': (pool_nic_xml(A, 'Q'), pool_nic_xml(A, 'P'), 'port profile Q'),
    'runs': (pool_nic_xml(A, 'Q', '', 'direct', LIVE), pool_nic_xml(A, 'P'), 'port profile Q'),
    'no-profile': (nic_xml(A, '', 'network', ON_POOL), pool_nic_xml(A, 'P'), 'port profile none'),
}


@pytest.mark.parametrize('before, after, place', cases(MOVE))
def test_nic_of_the_dictionary_moves_and_no_other_changes(before, after, place):
    xml, [line] = move(domain_xml(before), {A: 'P'})
    assert same(xml, domain_xml(after))
    assert line.startswith(f'NIC {A} moved from {place} to port profile P')


NOT_THERE = f'no NIC of this VM has MAC address {A}'


# id: (domain, line for the log)
STAY = {
    'none': ('<domain><devices/></domain>', NOT_THERE),
    'other-mac': (domain_xml(nic_xml(B)), NOT_THERE),
    'no-mac': (domain_xml('<interface type="bridge"><source bridge="x"/></interface>'), NOT_THERE),
    'empty': (domain_xml('<interface/>'), NOT_THERE),
    'not-a-device': (f'<domain>{nic_xml(A)}<devices/></domain>', NOT_THERE),
    'metadata': (f'<domain><metadata>{nic_xml(A)}</metadata></domain>', NOT_THERE),
    'nested': (domain_xml(f'<hostdev>{nic_xml(A)}</hostdev>'), NOT_THERE),
    'namespace': (domain_xml(nic_xml(A).replace('interface', 'x:interface')), NOT_THERE),
    'on-the-pool': (domain_xml(pool_nic_xml(A, 'P')), f'NIC {A} is on port profile P already'),
    'runs': (pool_nic_xml(A, 'P', '', 'direct', LIVE), f'NIC {A} is on port profile P already'),
}


@pytest.mark.parametrize('xml, line', cases(STAY))
def test_what_is_not_a_nic_with_that_mac_or_has_moved_is_left_untouched(xml, line):
    xml = xml.replace('<x:interface', '<x:interface xmlns:x="urn:x"')
    new, log = move(xml, {A: 'P'})
    assert same(new, xml) and log == [line]


@pytest.mark.parametrize(
    'type, source',
    [
        ('hostdev', '<source><address type="pci"/></source>'),
        ('network', '<source network="default"/>'),
        ('direct', '<source dev="eth0" mode="bridge"/>'),
        ('ethernet', ''),
        ('vhostuser', '<source type="unix" path="/run/x" mode="client"/>'),
    ],
)
def test_mac_of_a_nic_that_cannot_move_is_refused_with_its_kind(type, source):
    with pytest.raises(Failure, match=f"^NIC {A} is of type '{type}', only a bridge NIC can"):
        move(domain_xml(nic_xml(A, type=type, source=source)), {A: 'P'})


def test_whole_domain_changes_in_the_nics_of_the_dictionary_only(domain_of_the_engine):
    profiles = {f'00:1a:4a:16:01:5{i}': f'P{i}' for i in (1, 2, 4, 5)}
    xml, log = move(domain_of_the_engine.encode(), profiles)
    assert [line.partition('; ')[2] for line in log] == [
        'removed: filterref, port, mtu',
        'removed: filterref, mtu, coalesce',
        'removed: virtualport, vlan, backend',
        '',
    ]
    before = minidom.parseString(domain_of_the_engine.encode())
    expected = before.toxml()
    for i, nic in enumerate(before.getElementsByTagName('interface')):
        if i in (0, 1, 3, 4):  # becomes what it becomes alone
            alone, _ = move(nic.toxml(), {nics.mac_of(nic): f'P{i + 1}'})
            expected = expected.replace(nic.toxml(), alone.partition('?>')[2])
    assert xml == expected and expected.count('802.1Qbh') == 4
    again, log = move(xml, profiles)
    assert again == xml and len(log) == 4


# What the domain's metadata says about NICs.


@pytest.mark.parametrize('value', ['P', 'P<!-- Q -->', '<!-- Q -->P', '<![CDATA[P]]>'])
def test_nic_whose_vnic_profile_has_a_port_profile_moves(value):
    xml, log = move(with_own(value, nic_xml(A), nic_xml(B), mac=A.upper()), {})
    assert same(xml, with_own(value, pool_nic_xml(A, 'P'), nic_xml(B), mac=A.upper()))
    assert log == [f'NIC {A} moved from ovirtmgmt to port profile P']


@pytest.mark.parametrize(
    'children',
    [
        '<ovirt-vm:custom/>',
        OWN.format(''),
        '<ovirt-vm:vmfex>P</ovirt-vm:vmfex>',
        '<custom><vmfex>P</vmfex></custom>',
        '<ovirt-vm:custom><ovirt-vm:x>vmfex</ovirt-vm:x></ovirt-vm:custom>',
    ],
)
def test_nic_whose_vnic_profile_has_none_stays(children):
    xml = domain_xml(nic_xml(A), devices=metadata_of(A, children))
    new, log = move(xml, {})
    assert same(new, xml) and log == []


@pytest.mark.parametrize('unused', ['Own', 'a&amp;b', 40 * 'p', '<x/>'])
def test_dictionary_wins_over_the_vnic_profile_whatever_that_has_and_the_log_says_so(unused):
    xml, log = move(with_own(unused, nic_xml(A), nic_xml(B)), {A: 'P', B: 'P'})
    assert same(xml, with_own(unused, pool_nic_xml(A, 'P'), pool_nic_xml(B, 'P')))
    assert log[0] == f"NIC {A} has a port profile by its vNIC profile; P, the VM's, counts"
    assert len(log) == 3


@pytest.mark.parametrize('xml', ['<mac/>', '<mac address=""/>', ''])
def test_nic_without_a_mac_address_stays(xml):
    nic = nic_xml('').replace('<mac address=""/>', xml)
    for before, profiles in (with_own('P', nic, mac=''), {}), (with_own('P', nic), {}), (nic, {'': 'P'}):
        assert move(before, profiles) == (minidom.parseString(before).toxml(), [])


@pytest.mark.parametrize('profile', ['P', 'a&amp;b'])
def test_device_of_the_metadata_that_is_not_a_nic_of_the_vm_does_not_matter(profile):
    xml = with_own(profile, nic_xml(B))
    new, log = move(xml, {})
    assert same(new, xml) and log == []


@pytest.mark.parametrize(
    'name', ['a&amp;b', ' P', 40 * 'p', "{'00:1a:4a:16:01:51':'P'}", 'P<x>Q</x>', '<P/>', 'P<?q?>']
)
def test_wrong_name_in_a_vnic_profile_names_the_nic_and_the_rule(name):
    says = f'^custom property vmfex of the vNIC profile of NIC {A}: .* is not a port profile: use 1'
    with pytest.raises(Failure, match=says):
        move(with_own(name, nic_xml(A)), {})


def test_nic_with_port_mirroring_is_refused_on_vmfex_and_no_other():
    for children, profiles in (MIRRORING, {A: 'P'}), (MIRRORING + OWN.format('P'), {}):
        with pytest.raises(Failure, match=f'^NIC {A} has port mirroring, .*: remove port mirroring from'):
            move(domain_xml(nic_xml(A), devices=metadata_of(A, children)), profiles)
    for children, mac in ('<ovirt-vm:portMirroring/>', A), (MIRRORING, B):
        xml = domain_xml(nic_xml(A), nic_xml(B), devices=metadata_of(mac, children))
        assert '802.1Qbh' in move(xml, {A: 'P'})[0]


@pytest.mark.parametrize(
    'type, source, taken',
    [
        ('network', ON_POOL, 1),
        ('direct', f'<source network="direct-pool"{LIVE}/>', 1),
        ('network', '<source network="default"/>', 0),
        ('direct', '<source dev="eth3" mode="passthrough"/>', 0),
        ('bridge', '<source bridge="direct-pool"/>', 0),
    ],
)
def test_nics_on_the_pool_are_found(type, source, taken):
    root = minidom.parseString(domain_xml(nic_xml(A, type=type, source=source), nic_xml(B))).documentElement
    assert [nics.mac_of(nic) for nic in nics.find_on_pool(root)] == taken * [A]


# The update of a NIC that runs: in both forms, whatever libvirt is here.


@pytest.mark.parametrize('version, form', [(10007000, 'direct'), (10008000, 'network')])
@pytest.mark.parametrize('before', ['', '<link state="up"/>', '<link state="down"/>'])
@pytest.mark.parametrize('link', ['<link state="up"/>', '<link state="down"/>', ''])
def test_update_is_the_running_nic_in_libvirts_form_with_the_asked_link(version, form, before, link):
    rest = '<bandwidth><inbound average="1000"/></bandwidth><target dev="macvtap0"/>'
    running = minidom.parseString(pool_nic_xml(A, 'P', rest + before, 'direct', LIVE))
    waits = '<bandwidth><inbound average="7"/></bandwidth><mtu size="1500"/>'
    asked = minidom.parseString(nic_xml(A, link + waits, source='<source bridge="storage"/>'))
    line = nics.set_link(running.documentElement, asked.documentElement, version)
    assert same(running.toxml(), pool_nic_xml(A, 'P', rest + link, form, LIVE if form == 'direct' else ''))
    state = 'down' if 'down' in link else 'up'
    assert line.startswith(f'NIC {A} has link {state}; it stays on port profile P, ')
