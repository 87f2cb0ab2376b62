# SPDX-License-Identifier: GPL-2.0-or-later
"""Random VMs, through the whole hook."""

import re

import pytest

pytest.importorskip('hypothesis')
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.vdsm_runner import HookError
from tests.xml_builders import domain_xml, nic_xml, same

MACS = [f'00:1a:4a:16:01:{i:02x}' for i in range(4)]
profiles = st.from_regex('[A-Za-z0-9_:.-]([A-Za-z0-9_:. -]{0,37}[A-Za-z0-9_:.-])?', fullmatch=True)
texts = st.text(st.characters(blacklist_categories=('Cs',), blacklist_characters='\0'), max_size=30)
dictionaries = st.dictionaries(
    st.sampled_from(MACS) | st.sampled_from([mac.upper() for mac in MACS]) | texts,
    profiles | texts,
    max_size=4,
)
nics = st.builds(
    lambda mac, *rest: nic_xml(mac, *rest),
    st.sampled_from(MACS),
    st.sampled_from(['', '<mtu size="1500"/>', '<link state="down"/>']),
    st.sampled_from(['bridge', 'bridge', 'bridge', 'network', 'hostdev', 'direct']),
    st.sampled_from(
        ['<source bridge="x"/>', '<source network="direct-pool"/>', '<source network="default"/>']
    ),
)


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    vmfex=dictionaries.map(str) | texts,
    nics=st.lists(nics, max_size=4),
    point=st.sampled_from(['before_vm_start', 'before_vm_migrate_destination']),
)
def test_no_property_and_no_domain_makes_a_traceback(alpha, vmfex, nics, point):
    xml = domain_xml(*nics)
    try:
        new, log = alpha.hook(point, xml, vmfex)
    except HookError as e:
        assert re.fullmatch('vmfex: .*\n', str(e)) and 'this is a bug' not in str(e)
        return
    assert re.fullmatch('(vmfex: .*\n)*', log)
    assert new == xml or point == 'before_vm_start'
    if point == 'before_vm_start':
        assert same(alpha.hook(point, new, vmfex)[0], new)
