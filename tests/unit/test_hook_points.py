# SPDX-License-Identifier: GPL-2.0-or-later
"""What a hook point does to the XML, as far as no libvirt is asked; tests/lab has all of it."""

from xml.dom import minidom

import pytest

from tests.xml_builders import domain_xml, nic_xml, pool_nic_xml
from vmfex import hook_points

A = '00:1a:4a:16:01:51'
DOMAIN = domain_xml(nic_xml(A))
HALF = nic_xml(A, '<teaming type="transient" persistent="ua-1"/>', 'hostdev', '')  # of a failover pair
OURS, ABSENT = "{'00:1a:4a:16:01:51': 'P'}", "{'00:1a:4a:16:99:99': 'P'}"


def call(point, xml):
    return hook_points.HOOK_POINTS[point](minidom.parseString(xml))


@pytest.mark.parametrize(
    'point, xml, value, log',
    [
        ('before_vm_start', DOMAIN, ABSENT, ['no NIC of this VM has MAC address 00:1a:4a:16:99:99']),
        ('before_nic_hotplug', nic_xml(A), ABSENT, []),
        ('before_nic_hotplug', nic_xml(A), ' { } ', []),
        ('before_nic_hotplug', HALF, 'P', []),
        ('before_update_device', nic_xml(A, type='hostdev'), OURS, []),
        ('before_update_device', nic_xml(A, type='ethernet'), OURS, []),
    ],
)
def test_what_is_not_for_vmfex_is_not_written(monkeypatch, point, xml, value, log):
    monkeypatch.setenv('vmfex', value)
    assert call(point, xml) == (log, None)


@pytest.mark.parametrize('value', [OURS, '{'])
@pytest.mark.parametrize(
    'point', ['before_vm_start', 'before_vm_dehibernate', 'before_vm_migrate_destination']
)
def test_vm_that_arrives_is_looked_at_for_its_nics_on_the_pool_alone(monkeypatch, point, value):
    """At before_vm_start, that is one that resumes: it has an ID, and VDSM does not use what comes out."""
    monkeypatch.setenv('vmfex', value)
    monkeypatch.setattr(hook_points, 'prepare_pool', lambda needed: [f'{needed} needed'])
    xml = domain_xml(nic_xml(A), pool_nic_xml('00:1a:4a:16:01:52', 'Q', type='direct'))
    assert call(point, xml.replace('<domain', '<domain id="7"')) == (['1 needed'], None)
