# SPDX-License-Identifier: GPL-2.0-or-later

import re
from xml.dom import minidom
from xml.etree import ElementTree

import pytest

from tests.xml_builders import MIRRORING, OWN, device_xml, domain_xml, nic_xml, pool_nic_xml, same
from vmfex import nics
from vmfex.failure import Failure

A, B = '00:1a:4a:16:01:51', '00:1a:4a:16:01:52'
# What libvirt makes of such a source when the VM runs.
LIVE = ' portid="8b3f4a4e-6d0c-4f59-9a3e-0b9c4d3c7e11" dev="eth3" mode="passthrough"'


def move(xml, profiles):
    """Move the NICs of a domain's XML. Returns the XML that comes out, and the log."""
    doc = minidom.parseString(xml)
    moved, log = nics.move_all(doc.documentElement, profiles)
    assert moved == (not same(doc.toxml(), xml))
    return doc.toxml(), log


def assert_moved(xml, profiles, expected):
    assert same(move(xml, profiles)[0], expected)


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
    assert xml == (
        '<?xml version="1.0" ?><interface type="network" trustGuestRxFilters="yes">\n'
        '  <mac address="00:1a:4a:16:01:51"/>\n'
        '  \n'
        '  <source network="direct-pool"/>'
        '<virtualport type="802.1Qbh"><parameters profileid="Profile1"/></virtualport>\n'
        '  <model type="virtio"/>\n'
        '</interface>'
    )
    assert log == ['NIC 00:1a:4a:16:01:51 moved from ovirtmgmt to port profile Profile1; removed: mtu']


@pytest.mark.parametrize(
    'child',
    [
        '<filterref filter="vdsm-no-mac-spoofing"/>',
        '<filterref filter="clean-traffic"><parameter name="IP" value="192.0.2.1"/></filterref>',
        '<port isolated="yes"/>',
        '<mtu size="9000"/>',
        '<vlan><tag id="120"/></vlan>',
        '<coalesce><rx><frames max="7"/></rx></coalesce>',
        '<backend tap="/dev/net/tun" vhost="/dev/vhost-net"/>',
        '<virtualport type="openvswitch"/>',
        '<virtualport type="802.1Qbg"><parameters managerid="11"/></virtualport>',
    ],
)
def test_what_libvirt_refuses_on_the_pool_is_removed_and_named(child):
    xml, log = move(domain_xml(nic_xml(A, child)), {A: 'P'})
    assert same(xml, domain_xml(pool_nic_xml(A, 'P')))
    assert log[0].endswith('; removed: ' + re.match(r'<(\w+)', child).group(1))


@pytest.mark.parametrize(
    'child',
    [
        '<model type="e1000e"/>',
        '<link state="down"/>',
        '<address type="pci" domain="0x0000" bus="0x02" slot="0x00" function="0x0"/>',
        '<alias name="ua-1a8a0f46-7a3b-4dd1-9d25-f6e4cc0d81a1"/>',
        '<boot order="1"/>',
        '<driver name="vhost" queues="4"/>',
        '<bandwidth><inbound average="1000"/></bandwidth>',
        '<tune><sndbuf>0</sndbuf></tune>',
        '<teaming type="persistent"/>',
        '<rom enabled="no"/>',
        '<target dev="vnet0"/>',
        '<guest dev="eth0"/>',
        '<acpi index="7"/>',
        '<!-- a comment -->',
        '<x:source xmlns:x="urn:x" network="mine"/>',
        '\n  <link state="up"/>',
    ],
)
def test_what_libvirt_allows_on_the_pool_stays(child):
    assert_moved(domain_xml(nic_xml(A, child)), {A: 'P'}, domain_xml(pool_nic_xml(A, 'P', child)))


def test_nic_not_in_the_dictionary_is_left_untouched():
    other = nic_xml(B, '<filterref filter="x"/>')
    assert_moved(domain_xml(nic_xml(A), other), {A: 'P'}, domain_xml(pool_nic_xml(A, 'P'), other))


def test_case_of_the_nics_mac_does_not_matter_and_stays():
    assert_moved(domain_xml(nic_xml(A.upper())), {A: 'P'}, domain_xml(pool_nic_xml(A.upper(), 'P')))


@pytest.mark.parametrize(
    'xml',
    [
        '<domain><devices/></domain>',
        domain_xml(nic_xml(B)),
        domain_xml('<interface type="bridge"><source bridge="x"/></interface>'),
        domain_xml('<interface/>'),
        f'<domain>{nic_xml(A)}<devices/></domain>',
        f'<domain><metadata>{nic_xml(A)}</metadata></domain>',
        domain_xml(f'<hostdev>{nic_xml(A)}</hostdev>'),
        domain_xml(f'<x:interface xmlns:x="urn:x" type="bridge"><mac address="{A}"/></x:interface>'),
    ],
    ids=['none', 'other-mac', 'no-mac', 'empty', 'not-a-device', 'metadata', 'nested', 'namespace'],
)
def test_what_is_not_a_nic_with_that_mac_is_left_alone(xml):
    new, log = move(xml, {A: 'P'})
    assert same(new, xml) and log == [f'no NIC of this VM has MAC address {A}']


@pytest.mark.parametrize('type, more', [('network', ''), ('direct', LIVE)])
def test_nic_on_the_pool_with_the_same_profile_is_left_untouched(type, more):
    xml = domain_xml(pool_nic_xml(A, 'P', type=type, more=more))
    new, log = move(xml, {A: 'P'})
    assert same(new, xml) and log == [f'NIC {A} is on port profile P already']


@pytest.mark.parametrize(
    'before',
    [
        pool_nic_xml(A, 'Other'),
        pool_nic_xml(A, 'Other', type='direct', more=LIVE),
        nic_xml(A, type='network', source='<source network="direct-pool"/>'),
    ],
    ids=['network', 'direct', 'no-profile'],
)
def test_nic_on_the_pool_with_another_profile_gets_the_one_in_the_dictionary(before):
    assert_moved(domain_xml(before), {A: 'P'}, domain_xml(pool_nic_xml(A, 'P')))


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


def test_of_a_failover_pair_the_bridge_nic_moves_and_the_other_stays():
    pair = nic_xml(A, '<teaming type="transient" persistent="ua-1"/>', type='hostdev', source='')
    bridge, moved = '<teaming type="persistent"/>', pool_nic_xml(A, 'P', '<teaming type="persistent"/>')
    for order in (0, 1), (1, 0):
        before, after = (domain_xml(*[(pair, n)[i] for i in order]) for n in (nic_xml(A, bridge), moved))
        assert_moved(before, {A: 'P'}, after)


def test_whole_domain_changes_in_the_nics_of_the_dictionary_only(domain_of_the_engine):
    profiles = {f'00:1a:4a:16:01:5{i}': f'P{i}' for i in (1, 2, 4, 5)}
    xml, log = move(domain_of_the_engine.encode(), profiles)
    assert [line.partition('; ')[2] for line in log] == [
        'removed: filterref, port, mtu',
        'removed: filterref, mtu, coalesce',
        'removed: virtualport, vlan, backend',
        '',
    ]

    def split(xml):
        """Return a domain without what its NICs say, and its NICs."""
        root = ElementTree.fromstring(xml)
        nics = root.findall('devices/interface')
        texts = [ElementTree.tostring(nic).strip() for nic in nics]
        for nic in nics:
            nic.clear()
        return ElementTree.tostring(root), [ElementTree.fromstring(text) for text in texts]

    (rest_before, before), (rest, after) = split(domain_of_the_engine.encode()), split(xml.encode())
    assert rest == rest_before
    assert 'ovirt-vm:device' in xml and 'qemu:capabilities' in xml  # the prefixes are there, too
    changed = [
        i for i in range(len(after)) if ElementTree.tostring(after[i]) != ElementTree.tostring(before[i])
    ]
    assert changed == [0, 1, 3, 4]
    for i, number in ((0, 1), (1, 2), (3, 4), (4, 5)):
        assert after[i].get('trustGuestRxFilters') == 'yes'
        new = {child.tag: ElementTree.tostring(child).strip() for child in after[i]}
        old = {child.tag: ElementTree.tostring(child).strip() for child in before[i]}
        assert new.pop('source') == b'<source network="direct-pool" />'
        assert f'profileid="P{number}"'.encode() in new.pop('virtualport')
        assert new == {tag: old[tag] for tag in new} and after[i].get('type') == 'network'
    again, log = move(xml, profiles)
    assert again == xml and len(log) == 4


# What the domain's metadata says about NICs.


def with_device(children, *nics, mac=A):
    return domain_xml(*nics, devices=device_xml(mac, children))


def test_nic_whose_vnic_profile_has_a_port_profile_moves():
    before = with_device(OWN.format('P'), nic_xml(A), nic_xml(B), mac=A.upper())
    xml, log = move(before, {})
    assert same(xml, with_device(OWN.format('P'), pool_nic_xml(A, 'P'), nic_xml(B), mac=A.upper()))
    assert log == [f'NIC {A} moved from ovirtmgmt to port profile P']


@pytest.mark.parametrize(
    'children',
    [
        '',
        '<ovirt-vm:custom/>',
        OWN.format(''),
        '<ovirt-vm:vmfex>P</ovirt-vm:vmfex>',
        '<custom><vmfex>P</vmfex></custom>',
        '<ovirt-vm:custom><ovirt-vm:x>vmfex</ovirt-vm:x></ovirt-vm:custom>',
    ],
)
def test_nic_whose_vnic_profile_has_none_stays(children):
    xml = with_device(children, nic_xml(A))
    new, log = move(xml, {})
    assert same(new, xml) and log == []


def test_dictionary_wins_over_the_vnic_profile_and_the_log_says_so():
    xml, log = move(with_device(OWN.format('Own'), nic_xml(A), nic_xml(B)), {A: 'P', B: 'P'})
    assert same(xml, with_device(OWN.format('Own'), pool_nic_xml(A, 'P'), pool_nic_xml(B, 'P')))
    assert log[0] == f"NIC {A} has a port profile by its vNIC profile; P, the VM's, counts"
    assert len(log) == 3


@pytest.mark.parametrize('name', ['a&amp;b', 40 * 'p', '<x/>'])
def test_port_profile_of_a_vnic_profile_is_judged_only_if_it_is_used(name):
    xml, _ = move(with_device(OWN.format(name), nic_xml(A)), {A: 'P'})
    assert same(xml, with_device(OWN.format(name), pool_nic_xml(A, 'P')))


@pytest.mark.parametrize('value', ['P<!-- Q -->', '<!-- Q -->P', '<![CDATA[P]]>', 'P<!---->'])
def test_comment_in_a_value_is_not_part_of_it(value):
    xml, _ = move(with_device(OWN.format(value), nic_xml(A)), {})
    assert same(xml, with_device(OWN.format(value), pool_nic_xml(A, 'P')))


@pytest.mark.parametrize('xml', ['<mac/>', '<mac address=""/>', ''])
def test_nic_without_a_mac_address_stays(xml):
    nic = nic_xml('').replace('<mac address=""/>', xml)
    for mac in '', A:
        before = with_device(OWN.format('P'), nic, mac=mac)
        assert move(before, {}) == (minidom.parseString(before).toxml(), [])
    assert move(nic, {'': 'P'}) == (minidom.parseString(nic).toxml(), [])


@pytest.mark.parametrize('profile', ['P', 'a&amp;b'])
def test_device_of_the_metadata_that_is_not_a_nic_of_the_vm_does_not_matter(profile):
    xml = with_device(OWN.format(profile), nic_xml(B))
    new, log = move(xml, {})
    assert same(new, xml) and log == []


@pytest.mark.parametrize(
    'name', ['a&amp;b', ' P', 40 * 'p', "{'00:1a:4a:16:01:51':'P'}", 'P<x>Q</x>', '<P/>', 'P<?q?>']
)
def test_wrong_name_in_a_vnic_profile_names_the_nic_and_the_rule(name):
    with pytest.raises(
        Failure, match=f'^custom property vmfex of the vNIC profile of NIC {A}: .* is not a port'
    ):
        move(with_device(OWN.format(name), nic_xml(A)), {})


@pytest.mark.parametrize('profiles', [{}, {A: 'P'}], ids=['own', 'dictionary'])
def test_nic_with_port_mirroring_is_refused_on_vmfex(profiles):
    children = MIRRORING + ('' if profiles else OWN.format('P'))
    with pytest.raises(Failure, match=f'^NIC {A} has port mirroring, .*: remove port mirroring from'):
        move(with_device(children, nic_xml(A)), profiles)


@pytest.mark.parametrize(
    'children, mac', [('<ovirt-vm:portMirroring/>', A), (MIRRORING, B)], ids=['empty', 'bridge']
)
def test_port_mirroring_of_a_bridge_nic_does_not_matter(children, mac):
    xml = with_device(children, nic_xml(A), nic_xml(B), mac=mac)
    assert '802.1Qbh' in move(xml, {A: 'P'})[0]


@pytest.mark.parametrize(
    'type, source, taken',
    [
        ('network', '<source network="direct-pool"/>', 1),
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


def update(running, asked, version):
    """Return the update in the form for that version of libvirt, and the line for the log."""
    nic = minidom.parseString(running).documentElement
    line = nics.set_link(nic, minidom.parseString(asked).documentElement, version)
    return nic.toxml(), line


@pytest.mark.parametrize(
    'version, form', [(10007000, 'direct'), (10008000, 'network'), (12008000, 'network')]
)
@pytest.mark.parametrize('before', ['', '<link state="up"/>', '<link state="down"/>'])
@pytest.mark.parametrize('asked', ['up', 'down'])
def test_update_is_the_running_nic_in_libvirts_form_with_the_asked_link(version, form, before, asked):
    rest = '<bandwidth><inbound average="1000"/></bandwidth><target dev="macvtap0"/>'
    running = pool_nic_xml(A, 'P', rest + before, 'direct', LIVE)
    link = f'<link state="{asked}"/>'
    other = '<bandwidth><inbound average="7"/></bandwidth><mtu size="1500"/>'  # it waits
    new, line = update(running, nic_xml(A, link + other, source='<source bridge="storage"/>'), version)
    more = LIVE if form == 'direct' else ''
    assert same(new, pool_nic_xml(A, 'P', rest + link, form, more))
    assert line.startswith(f'NIC {A} has link {asked}; it stays on port profile P, ')


def test_update_without_a_link_state_means_up():
    new, line = update(pool_nic_xml(A, 'P', '<link state="down"/>', 'direct', LIVE), nic_xml(A), 9000000)
    assert '<link' not in new and 'has link up' in line
