# SPDX-License-Identifier: GPL-2.0-or-later

import re
import time
from xml.etree import ElementTree

import pytest

A, B = '00:1a:4a:16:01:51', '00:1a:4a:16:01:52'


@pytest.fixture
def move(vmfex):
    """Moves the NICs of a domain's XML. Returns the XML that comes out, and the log."""
    def move(xml, profiles):
        new, changed, log = vmfex.rewrite(xml.encode(), profiles)
        assert bool(changed) == (new != xml.encode())
        return new.decode(), log
    return move


def domain(*nics):
    return '<domain><devices>{}</devices></domain>'.format(''.join(nics))


def nic(children='', mac=A, type='bridge', source='<source bridge="ovirtmgmt"/>'):
    return '<interface type="{}"><mac address="{}"/>{}{}</interface>'.format(
        type, mac, source, children)


def pool_nic(profile, children='', mac=A, type='network', more=''):
    return nic('<virtualport type="802.1Qbh"><parameters profileid="{}"/></virtualport>{}'.format(
        profile, children), mac, type, '<source network="direct-pool"{}/>'.format(more))


def test_bridge_nic_becomes_a_802_1Qbh_nic_on_the_pool(move):
    xml, log = move('''\
<domain>
  <devices>
    <interface type="bridge">
      <mac address="00:1a:4a:16:01:51"/>
      <model type="virtio"/>
      <source bridge="ovirtmgmt"/>
    </interface>
  </devices>
</domain>
''', {A: 'Profile1'})
    assert xml == '''\
<domain>
  <devices>
    <interface type="network">
      <mac address="00:1a:4a:16:01:51"/>
      <source network="direct-pool"/>
      <virtualport type="802.1Qbh"><parameters profileid="Profile1"/></virtualport>
      <model type="virtio"/>
    </interface>
  </devices>
</domain>
'''
    assert log == ['NIC 00:1a:4a:16:01:51 moved from ovirtmgmt to port profile Profile1']


@pytest.mark.parametrize('child', [
    '<filterref filter="vdsm-no-mac-spoofing"/>',
    '<filterref filter="clean-traffic"><parameter name="IP" value="192.0.2.1"/></filterref>',
    '<port isolated="yes"/>',
    '<mtu size="9000"/>',
    '<vlan><tag id="120"/></vlan>',
    '<coalesce><rx><frames max="7"/></rx></coalesce>',
    '<backend tap="/dev/net/tun" vhost="/dev/vhost-net"/>',
    '<virtualport type="openvswitch"/>',
    '<virtualport type="802.1Qbg"><parameters managerid="11"/></virtualport>',
])
def test_what_libvirt_refuses_on_the_pool_is_removed_and_named(move, child):
    xml, log = move(domain(nic(child)), {A: 'P'})
    assert xml == domain(pool_nic('P'))
    assert log[0].endswith('; removed: ' + re.match(r'<(\w+)', child).group(1))


@pytest.mark.parametrize('child', [
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
    'text',
    '\n  <link state="up"/>',
])
def test_what_libvirt_allows_on_the_pool_stays(move, child):
    xml, _ = move(domain(nic(child)), {A: 'P'})
    assert xml == domain(pool_nic('P', child))


def test_nic_not_in_the_dictionary_is_left_untouched(move):
    other = nic('<filterref filter="x"/>', mac=B)
    xml, _ = move(domain(nic(), other), {A: 'P'})
    assert xml == domain(pool_nic('P'), other)


def test_case_of_the_nics_mac_plays_no_part_and_stays(move):
    upper = A.upper()
    assert move(domain(nic(mac=upper)), {A: 'P'})[0] == domain(pool_nic('P', mac=upper))


@pytest.mark.parametrize('xml', [
    '<domain><devices/></domain>',
    domain(nic(mac=B)),
    domain('<interface type="bridge"><source bridge="x"/></interface>'),
    domain('<interface type="bridge"><mac/></interface>'),
    domain('<interface type="bridge"><mac address="what"/></interface>'),
    domain('<interface/>'),
    domain('<interface xmlns="urn:x" type="bridge"><mac address="{}"/></interface>'.format(A)),
    domain('<x:interface xmlns:x="urn:x" type="bridge"><mac address="{}"/></x:interface>'.format(A)),
    domain('<interface type="bridge"><x:mac xmlns:x="urn:x" address="{}"/></interface>'.format(A)),
    '<domain xmlns="urn:x"><devices>{}</devices></domain>'.format(nic()),
    '<domain>{}<devices/></domain>'.format(nic()),
    '<domain><metadata>{}</metadata></domain>'.format(nic()),
    '<domain><metadata><domain><devices>{}</devices></domain></metadata></domain>'.format(nic()),
    '<domainsnapshot>{}</domainsnapshot>'.format(domain(nic())),
    domain('<hostdev>{}</hostdev>'.format(nic())),
], ids=[str(i) for i in range(15)])
def test_what_is_no_nic_with_that_mac_is_left_alone(move, xml):
    assert move(xml, {A: 'P'}) == (xml, ['no NIC of this VM has MAC ' + A])


@pytest.mark.parametrize('type, more', [('network', ''), (
    'direct', ' portid="x" dev="eth3" mode="passthrough"')])
def test_nic_on_the_pool_with_the_same_profile_is_left_untouched(move, type, more):
    xml = domain(pool_nic('P', type=type, more=more))
    assert move(xml, {A: 'P'}) == (xml, ['NIC {} is on port profile P already'.format(A)])


@pytest.mark.parametrize('before', [
    pool_nic('Other'),
    pool_nic('Other', type='direct', more=' portid="x" dev="eth3" mode="passthrough"'),
    nic(type='network', source='<source network="direct-pool"/>'),
], ids=['network', 'direct', 'no-profile'])
def test_nic_on_the_pool_with_another_profile_gets_the_one_in_the_dictionary(move, before):
    assert move(domain(before), {A: 'P'})[0] == domain(pool_nic('P'))


@pytest.mark.parametrize('type, source', [
    ('hostdev', '<source><address type="pci"/></source>'),
    ('network', '<source network="default"/>'),
    ('direct', '<source dev="eth0" mode="bridge"/>'),
    ('ethernet', ''),
    ('vhostuser', '<source type="unix" path="/run/x" mode="client"/>'),
    ('', ''),
])
def test_mac_of_a_nic_that_cannot_move_is_refused_with_its_kind(move, vmfex, type, source):
    with pytest.raises(vmfex.Failure, match='NIC {} is of type {!r}'.format(A, type)):
        move(domain(nic(type=type, source=source)), {A: 'P'})


def test_of_a_failover_pair_the_bridge_nic_moves_and_the_other_stays(move):
    pair = nic('<teaming type="transient" persistent="ua-1"/>', type='hostdev', source='')
    bridge = nic('<teaming type="persistent"/>')
    for order in (pair, bridge), (bridge, pair):
        xml, log = move(domain(*order), {A: 'P'})
        assert xml == domain(*order).replace(bridge, pool_nic('P', '<teaming type="persistent"/>'))
        assert len(log) == 1


def test_whole_domain_changes_in_the_nics_of_the_dictionary_only(move, domain_xml):
    profiles = {'00:1a:4a:16:01:5{}'.format(i): 'P{}'.format(i) for i in (1, 2, 4, 5)}
    xml, log = move(domain_xml, profiles)

    def split(xml):
        parts = re.split('(<interface type.*?</interface>)', xml, flags=re.DOTALL)
        return parts[0::2], parts[1::2]

    (texts_before, before), (texts, nics) = split(domain_xml), split(xml)
    assert texts == texts_before
    assert [i for i in range(len(nics)) if nics[i] != before[i]] == [0, 1, 3, 4]
    assert [line.partition('; ')[2] for line in log] == [
        'removed: filterref, port, mtu', 'removed: filterref, mtu, coalesce',
        'removed: virtualport, vlan, backend', '']
    for i, number in ((0, 1), (1, 2), (3, 4), (4, 5)):
        old, new = ElementTree.fromstring(before[i]), ElementTree.fromstring(nics[i])
        kept = [child for child in new if child.tag not in ('source', 'virtualport')]
        assert [ElementTree.tostring(child).strip() for child in kept] == [
            ElementTree.tostring(child).strip() for child in old
            if child.tag in [child.tag for child in kept]]
        assert new.get('type') == 'network'
        assert [(e.tag, e.attrib) for e in new.find('source').iter()] == [
            ('source', {'network': 'direct-pool'})]
        assert [(e.tag, e.attrib) for e in new.find('virtualport').iter()] == [
            ('virtualport', {'type': '802.1Qbh'}),
            ('parameters', {'profileid': 'P{}'.format(number)})]
    assert move(xml, profiles)[0] == xml


@pytest.mark.parametrize('prologue', ['', '\ufeff', '<?xml version="1.0" encoding="utf-8"?>\r\n',
                                      '<!-- <interface type="bridge"> -->', '<?pi <interface>?>'])
@pytest.mark.parametrize('end', ['</interface>', '</interface\n>'])
def test_bytes_around_a_moved_nic_stay(move, prologue, end):
    around = ('{}<domain><!--\u00fc<devices>--><name a="&#10;&#9;>">\r\n&#13;<![CDATA[<interface>]]>'
              '</name><devices>', '<interface a=">"/>\u20ac</devices></domain>\n')
    before, after = around[0].format(prologue), around[1]
    xml, _ = move(before + nic().replace('</interface>', end) + after, {A: 'P'})
    assert xml == before + pool_nic('P').replace('</interface>', end) + after


# Domains that an editor of bytes could take wrongly.

@pytest.mark.parametrize('odd', [
    '<?interface type="bridge"?>', '<?mac address="00:1a:4a:16:01:51"?>', '<!--interface-->',
    '<!-- <interface type="bridge"><mac address="00:1a:4a:16:01:51"/></interface> -->',
    '<interface/>', '<interface type="bridge"/>', '<interface></interface>', '<mac/>', 'a/>',
    '<x>/></x>',
    '<![CDATA[<interface/>]]>', '<![CDATA[/>]]>', '<x a="/>"/>', "<x a='>'/>", '<x><?y /?></x>',
    '<x><!--/--></x>', '<x xmlns="urn:x"><interface type="bridge"/></x>',
], ids=str)
def test_odd_neighbours_and_children_of_a_nic_keep_their_bytes(move, odd):
    xml = '{0}<domain>{1}<devices>{1}{2}{1}{3}</devices>{1}</domain>{0}'
    misc = odd if odd[:2] in ('<?', '<!') and 'CDATA' not in odd else ''
    assert move(xml.format(misc, odd, nic(odd), nic(mac=B)), {A: 'P'})[0] == xml.format(
        misc, odd, pool_nic('P', odd), nic(mac=B))


@pytest.mark.parametrize('start', [
    '<interface type="bridge">', "<interface  type = 'bridge' >",
    '<interface a=" type=\'x\'" type="bridge">',
    '<interface\n\ttype="bridge"\n>',
    '<interface xmlns:o="urn:o" o:type="x" type="bridge" trustGuestRxFilters="no">',
    '<interface type="&#98;ridge">',
])
def test_nothing_but_the_type_changes_in_the_start_tag(move, start):
    before = domain(nic()).replace('<interface type="bridge">', start)
    type_ = '&#98;ridge' if '#' in start else 'bridge'
    assert move(before, {A: 'P'})[0] == domain(pool_nic('P')).replace(
        '<interface type="network">', start.replace(type_, 'network'))


@pytest.mark.parametrize('encoding', ['latin-1', 'utf-16', 'shift_jis', 'klingon'])
def test_declared_encoding_plays_no_part_as_vdsm_writes_utf8(move, encoding):
    declaration = '<?xml version="1.0" encoding="{}"?><!--\u00e9-->'.format(encoding)
    assert move(declaration + domain(nic()), {A: 'P'})[0] == declaration + domain(pool_nic('P'))


@pytest.mark.parametrize('data', [
    '<domain>\u00e9</domain>'.encode('latin-1'), domain(nic()).encode('utf-16'),
    domain(nic()).encode('utf-16-le'),
    domain(nic()).encode('utf-16-be'), b'', b' ', b'<domain>',
    b'<domain/><domain/>', b'<a:domain/>', b'<domain a="1" a="2"/>', b'<domain>&undefined;</domain>',
    b'\0',
], ids=lambda data: repr(data[:20]))
def test_what_is_no_xml_in_utf8_is_refused_in_one_line(vmfex, data):
    with pytest.raises(vmfex.Failure, match="^the XML of the VM can't be read: .*; see which"):
        vmfex.rewrite(data, {A: 'P'})


@pytest.mark.parametrize('doctype', [
    '<!DOCTYPE domain>', '<!DOCTYPE domain [<!ENTITY nic "{}">]>'.format(nic().replace('"', "'")),
    '<!DOCTYPE domain [<!ATTLIST interface type CDATA "bridge">]>',
])
def test_doctype_is_refused(vmfex, doctype):
    with pytest.raises(vmfex.Failure, match='^the XML of the VM has a DOCTYPE'):
        vmfex.rewrite((doctype + domain('&nic;' if 'ENTITY' in doctype else nic())).encode(), {A: 'P'})


def test_nic_that_is_nested_deeply_is_left_alone(move):
    deep = nic(2000 * '<x>' + 2000 * '</x>')
    assert move(domain(deep), {A: 'P'})[0] == domain(pool_nic('P', 2000 * '<x>' + 2000 * '</x>'))
    deep = 2000 * '<interface type="bridge">' + nic() + 2000 * '</interface>'
    assert move(domain(deep), {A: 'P'})[0] == domain(deep)


def test_work_grows_with_the_sum_of_macs_and_nics(move, vmfex):
    macs = ['00:1a:4a:16:{:02x}:{:02x}'.format(i // 256, i % 256) for i in range(4000)]
    value = str({mac: 'P' for mac in macs})
    start = time.perf_counter()
    xml, log = move(domain(*[nic(mac=mac) for mac in macs]), vmfex.parse_property(value))
    assert time.perf_counter() - start < 10  # seconds; it was 94, and takes half a second
    assert len(log) == xml.count('802.1Qbh') == 4000


# What the domain's metadata says about NICs.

def with_metadata(device, *nics, mac=A):
    return ('<domain xmlns:ovirt-vm="http://ovirt.org/vm/1.0"><metadata><ovirt-vm:vm><ovirt-vm:custom>'
            '<ovirt-vm:other>x</ovirt-vm:other></ovirt-vm:custom><ovirt-vm:device alias="ua-1" '
            'mac_address="{}">{}</ovirt-vm:device><ovirt-vm:device devtype="disk" name="vda"/>'
            '</ovirt-vm:vm></metadata><devices>{}</devices></domain>').format(mac, device, ''.join(nics))


def own(profile):
    return '<ovirt-vm:custom><ovirt-vm:vmfex>{}</ovirt-vm:vmfex></ovirt-vm:custom>'.format(profile)


MIRRORING = ('<ovirt-vm:portMirroring><ovirt-vm:network>ovirtmgmt</ovirt-vm:network>'
             '</ovirt-vm:portMirroring>')


def test_nic_whose_vnic_profile_has_a_port_profile_moves(move):
    xml, log = move(with_metadata(own('P'), nic(), nic(mac=B), mac=A.upper()), {})
    assert xml == with_metadata(own('P'), pool_nic('P'), nic(mac=B), mac=A.upper())
    assert log == ['NIC {} moved from ovirtmgmt to port profile P'.format(A)]


@pytest.mark.parametrize('device', [
    '', '<ovirt-vm:custom/>', own(''), '<ovirt-vm:vmfex>P</ovirt-vm:vmfex>',
    '<custom><vmfex>P</vmfex></custom>',
    '<ovirt-vm:custom><ovirt-vm:x>vmfex</ovirt-vm:x></ovirt-vm:custom>'])
def test_nic_whose_vnic_profile_has_none_stays(move, device):
    xml = with_metadata(device, nic())
    assert move(xml, {}) == (xml, [])


def test_dictionary_wins_over_the_vnic_profile_and_the_log_says_so(move):
    xml, log = move(with_metadata(own('Own'), nic(), nic(mac=B)), {A: 'P', B: 'P'})
    assert xml == with_metadata(own('Own'), pool_nic('P'), pool_nic('P', mac=B))
    assert log[0] == ("NIC {} has port profile P in the VM's custom property vmfex, and Own in its vNIC"
                      " profile's: the VM's counts".format(A))
    assert len(log) == 3


def test_device_of_the_metadata_that_is_no_nic_of_the_vm_plays_no_part(move):
    for profile in 'P', 'a&amp;b':
        xml = with_metadata(own(profile), nic(mac=B))
        assert move(xml, {}) == (xml, [])
    xml = with_metadata(own('P'), nic(), mac='what')
    assert move(xml, {}) == (xml, [])


@pytest.mark.parametrize('name', ['a&amp;b', ' P', 40 * 'p', "{'00:1a:4a:16:01:51':'P'}"])
def test_wrong_name_in_a_vnic_profile_names_the_nic_and_the_rule(vmfex, name):
    with pytest.raises(vmfex.Failure, match=(
            '^NIC {}, custom property vmfex of its vNIC profile: .* bytes. is no port profile: use '
            .format(A))):
        vmfex.rewrite(with_metadata(own(name), nic()).encode(), {})


@pytest.mark.parametrize('profiles', [{}, {A: 'P'}], ids=['own', 'dictionary'])
def test_nic_with_port_mirroring_is_refused_on_vmfex(vmfex, profiles):
    device = MIRRORING + ('' if profiles else own('P'))
    with pytest.raises(vmfex.Failure, match='^NIC {} has port mirroring, .*: take'.format(A)):
        vmfex.rewrite(with_metadata(device, nic()).encode(), profiles)


@pytest.mark.parametrize('device, nics', [
    ('<ovirt-vm:portMirroring/>', [nic()]), (MIRRORING, [nic(), nic(mac=B)])], ids=['empty', 'bridge'])
def test_port_mirroring_of_a_bridge_nic_is_its_own_affair(move, device, nics):
    xml = with_metadata(device, *nics)
    profiles = {B: 'P'} if len(nics) == 2 else {A: 'P'}
    assert '802.1Qbh' in move(xml, profiles)[0]
