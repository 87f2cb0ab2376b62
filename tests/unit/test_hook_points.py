# SPDX-License-Identifier: GPL-2.0-or-later
"""What a hook point does to the XML, as far as no libvirt is asked; tests/one_host has all of it."""

from xml.dom import minidom

import pytest

from tests.xml_builders import domain_xml, nic_xml, pool_nic_xml
from vmfex import hook_points

A = '00:1a:4a:16:01:51'


def call(point, xml):
    return hook_points.HOOK_POINTS[point](minidom.parseString(xml))


@pytest.mark.parametrize(
    'point', ['before_vm_start', 'before_vm_migrate_destination', 'before_vm_dehibernate']
)
def test_vm_with_nothing_to_move_is_not_written(monkeypatch, point):
    monkeypatch.setenv('vmfex', "{'00:1a:4a:16:99:99': 'P'}")
    log = ['no NIC of this VM has MAC address 00:1a:4a:16:99:99'] if point == 'before_vm_start' else []
    assert call(point, domain_xml(nic_xml(A))) == (log, None)


@pytest.mark.parametrize('value', ["{'%s': 'P'}" % A, 'P', '{'])
def test_resume_looks_at_the_nics_on_the_pool_alone(monkeypatch, value):
    """VDSM passes the XML of the suspended VM, and does not use what comes out."""
    monkeypatch.setenv('vmfex', value)
    monkeypatch.setattr(hook_points, 'prepare_pool', lambda needed: [f'{needed} needed'])
    xml = domain_xml(nic_xml(A), pool_nic_xml('00:1a:4a:16:01:52', 'Q', type='direct'))
    assert call('before_vm_start', xml.replace('<domain', '<domain id="7"')) == (['1 needed'], None)


def test_nic_that_is_not_in_the_dictionary_is_plugged_as_it_is_without_a_word(monkeypatch):
    monkeypatch.setenv('vmfex', "{'00:1a:4a:16:99:99': 'P'}")
    assert call('before_nic_hotplug', nic_xml(A)) == ([], None)


@pytest.mark.parametrize('value', [f"{{'{A}': 'P'}}", 'P'], ids=['dictionary', 'own'])
def test_half_of_a_failover_pair_is_plugged_as_it_is(monkeypatch, value):
    monkeypatch.setenv('vmfex', value)
    half = nic_xml(A, '<teaming type="transient" persistent="ua-1"/>', 'hostdev', '')
    assert call('before_nic_hotplug', half) == ([], None)


@pytest.mark.parametrize('type', ['hostdev', 'ethernet', 'vhostuser'])
def test_update_of_what_is_not_a_bridge_network_or_direct_nic_is_not_ours(type):
    assert call('before_update_device', nic_xml(A, type=type)) == ([], None)
