# SPDX-License-Identifier: GPL-2.0-or-later
"""What libvirt says to the domains that the hook hands to VDSM."""

import re
import subprocess

import libvirt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fake_vdsm.runner import HookError
from tests.lab.vm import VM


def test_start_goes_as_far_as_the_missing_hardware(bare_host):
    with pytest.raises(libvirt.libvirtError, match='sending of PortProfileRequest failed'):
        VM().start(bare_host)
    assert set(bare_host.pool_nics().values()) == {0}


def test_vm_that_the_hook_did_not_change_could_not_start_on_the_pool(alpha):
    """The filterref that the engine sends is what stopped VMs with the older hooks."""
    vm = VM()
    vm.start(alpha)
    xml = vm.on(alpha).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    vm.stop(alpha)
    xml = re.sub("(<source network='direct-pool'/>)", r"\1<filterref filter='x'/>", xml)
    with pytest.raises(libvirt.libvirtError, match='filterref is not supported'):
        alpha.conn.defineXML(xml).create()


def test_rewritten_domain_is_valid_by_libvirts_schema(alpha, domain_xml, tmp_path):
    vmfex = str({'00:1a:4a:16:01:5{}'.format(i): 'P{}'.format(i) for i in (1, 2, 4, 5)})
    xml, log = alpha.hook('before_vm_start', domain_xml, vmfex)
    assert xml != domain_xml
    for name, text in (('before.xml', domain_xml), ('after.xml', xml)):
        (tmp_path / name).write_text(text, encoding='utf-8')
        subprocess.run(['virt-xml-validate', str(tmp_path / name), 'domain'], check=True)


def test_rewritten_domain_is_defined_with_each_nic_on_its_profile(alpha, domain_xml):
    profiles = {'00:1a:4a:16:01:5{}'.format(i): 'P{}'.format(i) for i in (1, 2, 4, 5)}
    xml, _ = alpha.hook('before_vm_start', domain_xml, str(profiles))
    xml = xml.replace('"kvm"', '"qemu"').replace('pc-q35-rhel8.6.0', 'q35')
    xml = re.sub('<qemu:(capabilities|commandline)>.*?</qemu:\\1>', '', xml, flags=re.DOTALL)
    xml = re.sub('<graphics.*?</graphics>', '', xml, flags=re.DOTALL)
    defined = alpha.conn.defineXML(xml).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    for mac, profile in profiles.items():
        assert re.search("<mac address='{}'/>\\s*<source network='direct-pool'/>\\s*<virtualport "
                         "type='802.1Qbh'>\\s*<parameters profileid='{}'/>".format(mac, profile),
                         defined)


# Random VMs, through the whole hook.

MACS = ['00:1a:4a:16:01:{:02x}'.format(i) for i in range(4)]
profiles = st.from_regex('[A-Za-z0-9_:.-]([A-Za-z0-9_:. -]{0,37}[A-Za-z0-9_:.-])?', fullmatch=True)
texts = st.text(st.characters(blacklist_categories=('Cs',), blacklist_characters='\0'), max_size=30)
dictionaries = st.dictionaries(
    st.sampled_from(MACS) | st.sampled_from([mac.upper() for mac in MACS]) | texts,
    profiles | texts, max_size=4)
nics = st.builds(
    '<interface type="{}"><mac address="{}"/>{}<source {}/></interface>'.format,
    st.sampled_from(['bridge', 'bridge', 'bridge', 'network', 'hostdev', 'direct']),
    st.sampled_from(MACS), st.sampled_from(['', '<mtu size="1500"/>', '<link state="down"/>']),
    st.sampled_from(['bridge="x"', 'network="direct-pool"', 'network="default"']))


@settings(max_examples=60, deadline=None, derandomize=True,
          suppress_health_check=list(HealthCheck))
@given(vmfex=dictionaries.map(str) | texts, nics=st.lists(nics, max_size=4),
       point=st.sampled_from(['before_vm_start', 'before_vm_migrate_destination']))
def test_no_property_and_no_domain_makes_a_traceback(alpha, vmfex, nics, point):
    xml = '<domain><devices>{}</devices></domain>'.format(''.join(nics))
    try:
        new, log = alpha.hook(point, xml, vmfex)
    except HookError as e:
        assert re.fullmatch('vmfex: .*\n', str(e)) and 'bug' not in str(e)
        return
    assert re.fullmatch('(vmfex: .*\n)*', log)
    assert new == xml or point == 'before_vm_start'
    if point == 'before_vm_start':
        assert alpha.hook(point, new, vmfex)[0] == new
