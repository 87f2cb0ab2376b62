# SPDX-License-Identifier: GPL-2.0-or-later
"""What libvirt says to the domains that the hook hands to VDSM."""

import re
import subprocess

import libvirt
import pytest

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


def test_rewritten_domain_is_valid_by_libvirts_schema(alpha, domain_of_the_engine, tmp_path):
    vmfex = str({'00:1a:4a:16:01:5{}'.format(i): 'P{}'.format(i) for i in (1, 2, 4, 5)})
    xml, log = alpha.hook('before_vm_start', domain_of_the_engine, vmfex)
    assert xml != domain_of_the_engine
    for name, text in (('before.xml', domain_of_the_engine), ('after.xml', xml)):
        (tmp_path / name).write_text(text, encoding='utf-8')
        subprocess.run(['virt-xml-validate', str(tmp_path / name), 'domain'], check=True)


def test_rewritten_domain_is_defined_with_each_nic_on_its_profile(alpha, domain_of_the_engine):
    profiles = {'00:1a:4a:16:01:5{}'.format(i): 'P{}'.format(i) for i in (1, 2, 4, 5)}
    xml, _ = alpha.hook('before_vm_start', domain_of_the_engine, str(profiles))
    xml = xml.replace('"kvm"', '"qemu"').replace('pc-q35-rhel8.6.0', 'q35')
    xml = re.sub('<qemu:(capabilities|commandline)>.*?</qemu:\\1>', '', xml, flags=re.DOTALL)
    xml = re.sub('<graphics.*?</graphics>', '', xml, flags=re.DOTALL)
    defined = alpha.conn.defineXML(xml).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    for mac, profile in profiles.items():
        assert re.search(
            "<mac address='{}'/>\\s*<source network='direct-pool'/>\\s*<virtualport "
            "type='802.1Qbh'>\\s*<parameters profileid='{}'/>".format(mac, profile),
            defined,
        )
