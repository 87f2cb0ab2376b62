# SPDX-License-Identifier: GPL-2.0-or-later
"""The same for all inputs, not only for those in the tables."""

import os
import re
from xml.dom import minidom
from xml.etree import ElementTree

import pytest

pytest.importorskip('hypothesis')
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.xml_builders import OWN, device_xml, domain_xml, nic_xml
from vmfex import nics
from vmfex.custom_property import parse_dictionary
from vmfex.failure import Failure

# In CI, each run has the same examples.
settings.register_profile(
    'vmfex', deadline=None, derandomize='CI' in os.environ, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile('vmfex')

MACS = [f'00:1a:4a:16:01:{i:02x}' for i in range(3)]
chars = st.characters(blacklist_categories=('Cs', 'Cc', 'Cn'), blacklist_characters='\ufffe\uffff')
texts = st.text(chars | st.sampled_from('\t\n'), max_size=20)
names = st.sampled_from(
    'link model source filterref mac mtu interface devices o:interface o:mac parameters virtualport'.split()
)
dictionaries = st.dictionaries(st.sampled_from(MACS), st.sampled_from(['P1', 'P 2', 'P:3']))


def escape(text):
    return ''.join(c if c.isalnum() or c in ' \n' else f'&#{ord(c)};' for c in text)


def element(name, children):
    return f'<{name}>{"".join(children)}</{name}>'


trees = st.recursive(
    texts.map(escape)
    | st.sampled_from(['<!-- <interface> -->', '<![CDATA[</devices>]]>', '<x o:a="1" a="2"/>']),
    lambda inner: st.builds(element, names, st.lists(inner, max_size=3)),
    max_leaves=6,
)
random_nics = st.builds(
    lambda mac, more, type, source: nic_xml(mac, ''.join(more), type, source),
    st.sampled_from(MACS),
    st.lists(trees, max_size=2),
    st.sampled_from(['bridge', 'bridge', 'bridge', 'network', 'hostdev']),
    st.sampled_from(['<source bridge="x"/>']),
)
domains = st.lists(random_nics | trees, max_size=4).flatmap(
    lambda inner: st.builds(
        '<domain xmlns:o="urn:o">{}<devices>{}</devices>{}</domain>'.format,
        trees,
        st.just(''.join(inner)),
        trees,
    )
)


def move(xml, profiles):
    doc = minidom.parseString(xml)
    nics.move_all(doc.documentElement, profiles)
    return doc.toxml()


def others(xml, profiles):
    """The canonical form of a domain without its NICs in the dictionary, and their number."""
    root = ElementTree.fromstring(xml)
    moved = 0
    for nic in root.findall('devices/interface'):
        mac = nic.find('mac')
        if mac is not None and mac.get('address') in profiles and nic.get('type') in ('bridge', 'network'):
            moved += 1
            nic.tag, nic.text, nic[:] = 'moved', '', []
            nic.attrib.clear()
    return ElementTree.canonicalize(ElementTree.tostring(root, encoding='unicode')), moved


@pytest.mark.skipif(not hasattr(ElementTree, 'canonicalize'), reason='needs Python 3.8')
@settings(max_examples=300)
@given(xml=domains, profiles=dictionaries)
def test_what_is_not_in_the_dictionary_keeps_its_canonical_form(xml, profiles):
    try:
        new = move(xml, profiles)
    except Failure:
        return
    assert others(new, profiles) == others(xml, profiles)
    assert move(new, profiles) == new  # twice is once


@settings(max_examples=400)
@given(
    value=st.text(max_size=60)
    | st.text('{}\'":, 0a\\', max_size=60)
    | dictionaries.map(str)
    | st.dictionaries(texts, texts).map(str)
)
def test_property_is_read_or_refused(value):
    try:
        profiles = parse_dictionary(value)
    except Failure as e:
        assert str(e).isprintable()
        return
    for mac, profile in profiles.items():
        assert re.fullmatch('[0-9a-f]{2}(:[0-9a-f]{2}){5}', mac)
        assert re.fullmatch('[A-Za-z0-9_:. -]{1,39}', profile)


@settings(max_examples=200)
@given(profiles=dictionaries)
def test_every_dictionary_is_read_as_it_was_written(profiles):
    assert parse_dictionary(str(profiles)) == profiles


own_profiles = st.dictionaries(st.sampled_from(MACS), st.sampled_from(['O1', 'O 2', 'O:3', '']))


@settings(max_examples=200)
@given(macs=st.lists(st.sampled_from(MACS), unique=True), own=own_profiles, profiles=dictionaries)
def test_each_nic_goes_to_the_port_profile_of_the_dictionary_or_its_own(macs, own, profiles):
    devices = ''.join(device_xml(mac.upper(), OWN.format(name)) for mac, name in own.items())
    new = move(domain_xml(*map(nic_xml, macs), devices=devices), profiles)
    expected = {mac: profiles.get(mac) or own.get(mac) or None for mac in macs}
    found = {}
    for nic in ElementTree.fromstring(new).iter('interface'):
        parameters = nic.find('virtualport/parameters')
        found[nic.find('mac').get('address')] = None if parameters is None else parameters.get('profileid')
    assert found == expected
    moved = nics.find_on_pool(minidom.parseString(new).documentElement)
    assert {nics.mac_of(nic) for nic in moved} == {mac for mac in macs if expected[mac]}
