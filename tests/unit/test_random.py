# SPDX-License-Identifier: GPL-2.0-or-later
"""The same for all inputs, not only for those in the tables."""

import io
import os
import re
from xml.etree import ElementTree

import pytest

hypothesis = pytest.importorskip('hypothesis')
from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

# A build that failed once is to fail again.
settings.register_profile('vmfex', deadline=None, derandomize='CI' in os.environ,
                          suppress_health_check=[HealthCheck.too_slow])
settings.load_profile('vmfex')

MACS = ['00:1a:4a:16:01:{:02x}'.format(i) for i in range(5)]
chars = st.characters(blacklist_categories=('Cs', 'Cc', 'Cn'), blacklist_characters='\ufffe\uffff')
texts = st.text(chars | st.sampled_from('\t\n'), max_size=20)
names = st.sampled_from(['link', 'model', 'source', 'filterref', 'mac', 'mtu', 'interface', 'devices',
                         'o:interface', 'o:mac', 'boot', 'parameters', 'virtualport'])


def escape(text):
    return ''.join(c if c.isalnum() else '&#{};'.format(ord(c)) for c in text)


def element(name, attributes, children):
    return '<{}{}>{}</{}>'.format(name, ''.join(
        ' {}="{}"'.format(key, escape(value)) for key, value in attributes.items()),
        ''.join(children), name)


attributes = st.dictionaries(st.sampled_from(['type', 'address', 'network', 'o:type']), texts,
                             max_size=2)
trees = st.recursive(
    texts.map(escape) | st.sampled_from(['<!-- <interface> -->', '<![CDATA[</devices>]]>']),
    lambda inner: st.builds(element, names, attributes, st.lists(inner, max_size=3)), max_leaves=6)
nics = st.builds(
    lambda type, mac, source, more: element('interface', {'type': type}, [
        element('mac', {'address': mac}, []), element('source', source, []), *more]),
    st.sampled_from(['bridge', 'bridge', 'network', 'hostdev']), st.sampled_from(MACS),
    st.sampled_from([{'bridge': 'x'}, {'network': 'direct-pool'}]), st.lists(trees, max_size=2))
domains = st.lists(nics | trees, max_size=4).flatmap(lambda inner: st.builds(
    '<domain xmlns:o="urn:o">{}<devices>{}</devices>{}</domain>'.format, trees,
    st.just(''.join(inner)), trees))
dictionaries = st.dictionaries(st.sampled_from(MACS), st.sampled_from(['P1', 'P 2', 'P:3']))


def move(vmfex, xml, profiles):
    return vmfex.rewrite(xml.encode(), profiles)[0].decode()


def others(xml, profiles):
    """The canonical form of a domain without its NICs in the dictionary, and that of its NICs."""
    root = ElementTree.fromstring(xml)
    moved = []
    for devices in root.findall('devices'):
        for nic in devices.findall('interface'):
            mac = nic.find('mac')
            if mac is not None and mac.get('address') in profiles and nic.get('type') in (
                    'bridge', 'network'):
                moved.append(nic)
                nic.tag, nic.text, nic[:] = 'moved', '', []
                nic.attrib.clear()
    out = io.StringIO()
    ElementTree.canonicalize(ElementTree.tostring(root, encoding='unicode'), out=out)
    return out.getvalue(), len(moved)


@pytest.mark.skipif(not hasattr(ElementTree, 'canonicalize'), reason='needs Python 3.8')
@settings(max_examples=400)
@given(xml=domains, profiles=dictionaries)
def test_what_is_not_in_the_dictionary_keeps_its_canonical_form(vmfex, xml, profiles):
    try:
        new = move(vmfex, xml, profiles)
    except vmfex.Failure:
        return
    assert others(new, profiles) == others(xml, profiles)
    assert move(vmfex, new, profiles) == new  # twice is once
    if not profiles:
        assert new == xml


@settings(max_examples=400)
@given(value=st.text(max_size=60) | st.text('{}\'":, 0a\\', max_size=60)
       | dictionaries.map(str) | st.dictionaries(texts, texts).map(str))
def test_property_is_read_or_refused(vmfex, value):
    try:
        profiles = vmfex.parse_property(value)
    except vmfex.Failure as e:
        assert str(e).isprintable()
        return
    for mac, profile in profiles.items():
        assert re.fullmatch('[0-9a-f]{2}(:[0-9a-f]{2}){5}', mac)
        assert re.fullmatch('[A-Za-z0-9_:. -]{1,39}', profile)


@settings(max_examples=200)
@given(profiles=dictionaries)
def test_every_dictionary_is_read_as_it_was_written(vmfex, profiles):
    assert vmfex.parse_property(str(profiles)) == profiles


own_profiles = st.dictionaries(st.sampled_from(MACS), st.sampled_from(['O1', 'O 2', 'O:3', '']))


@settings(max_examples=200)
@given(macs=st.lists(st.sampled_from(MACS), unique=True), own=own_profiles, profiles=dictionaries)
def test_each_nic_goes_to_the_port_profile_of_the_dictionary_or_its_own(vmfex, macs, own, profiles):
    devices = ['<o:device mac_address="{}"><o:custom><o:vmfex>{}</o:vmfex></o:custom></o:device>'.format(
        mac.upper(), name) for mac, name in own.items()]
    nics = ['<interface type="bridge"><mac address="{}"/><source bridge="x"/></interface>'.format(mac)
            for mac in macs]
    xml = ('<domain xmlns:o="http://ovirt.org/vm/1.0"><metadata><o:vm>{}</o:vm></metadata><devices>{}'
           '</devices></domain>').format(''.join(devices), ''.join(nics))
    new, changed, _ = vmfex.rewrite(xml.encode(), profiles)
    expected = {mac: profiles.get(mac) or own.get(mac) or None for mac in macs}
    found = {}
    for nic in ElementTree.fromstring(new).iter('interface'):
        parameters = nic.find('virtualport/parameters')
        found[nic.find('mac').get('address')] = (
            None if parameters is None else parameters.get('profileid'))
    assert found == expected
    assert changed == [mac for mac in macs if expected[mac]]
    assert vmfex.count_on_pool(new) == len(changed)
