# SPDX-License-Identifier: GPL-2.0-or-later
"""What a hook point does to the XML, as far as no libvirt is asked; tests/lab has all of it."""

from xml.dom import minidom

import pytest

from tests.xml_builders import HAS_RUN, domain_xml, nic_xml, pool_nic_xml
from vmfex import hook_points

A = '00:1a:4a:16:01:51'
DOMAIN = domain_xml(nic_xml(A))
HALF = nic_xml(A, '<teaming type="transient" persistent="ua-1"/>', 'hostdev', '')  # of a failover pair
OURS, ABSENT = "{'00:1a:4a:16:01:51': 'P'}", "{'00:1a:4a:16:99:99': 'P'}"


def call(point, xml, vmfex):
    return hook_points.HOOK_POINTS[point](hook_points.Call(minidom.parseString(xml), vmfex, ''))


@pytest.mark.parametrize(
    'point, xml, vmfex, log',
    [
        ('before_vm_start', DOMAIN, ABSENT, ['no NIC of this VM has MAC address 00:1a:4a:16:99:99']),
        ('before_nic_hotplug', nic_xml(A), ABSENT, []),
        ('before_nic_hotplug', nic_xml(A), ' { } ', []),
        ('before_nic_hotplug', HALF, 'P', []),
        ('before_update_device', nic_xml(A, type='hostdev'), OURS, []),
        ('before_update_device', nic_xml(A, type='ethernet'), OURS, []),
    ],
)
def test_what_is_not_for_vmfex_is_not_written(point, xml, vmfex, log):
    assert call(point, xml, vmfex) == (log, None)


@pytest.mark.parametrize('vmfex', [OURS, '{'])
@pytest.mark.parametrize('point', [name for name in hook_points.HOOK_POINTS if 'before_vm_' in name])
def test_vm_that_arrives_is_looked_at_for_its_nics_on_the_pool_alone(monkeypatch, point, vmfex):
    """At before_vm_start, that is one that has run: VDSM does not use what comes out."""
    monkeypatch.setattr(hook_points, 'prepare_pool', lambda needed: [f'{needed} needed'])
    on_pool = pool_nic_xml('00:1a:4a:16:01:52', 'Q', type='direct')
    xml = domain_xml(nic_xml(A), on_pool, devices=HAS_RUN)
    assert call(point, xml, vmfex) == (['1 needed'], None)


def test_vm_that_has_an_id_but_has_not_run_is_a_start(monkeypatch):
    monkeypatch.setattr(hook_points, 'prepare_pool', lambda needed: [])
    doc = minidom.parseString(DOMAIN.replace('<domain', '<domain id="7"'))
    assert hook_points.before_vm_start(hook_points.Call(doc, OURS, ''))[1] is doc
