# SPDX-License-Identifier: GPL-2.0-or-later
"""What libvirt says to a whole domain of the engine's that the hook hands to VDSM."""

import re
import subprocess

import libvirt


def test_rewritten_domain_is_valid_and_defined_with_each_nic_on_its_profile(
    alpha, domain_of_the_engine, tmp_path
):
    profiles = {f'00:1a:4a:16:01:5{i}': f'P{i}' for i in (1, 2, 4, 5)}
    xml, _ = alpha.hook('before_vm_start', domain_of_the_engine, str(profiles))
    for name, text in (('before.xml', domain_of_the_engine), ('after.xml', xml)):
        (tmp_path / name).write_text(text, encoding='utf-8')
        subprocess.run(['virt-xml-validate', str(tmp_path / name), 'domain'], check=True)
    again, log = alpha.hook('before_vm_start', xml, str(profiles))
    assert again == xml and 'NIC 00:1a:4a:16:01:51 is on port profile P1 already\n' in log

    xml = xml.replace('"kvm"', '"qemu"').replace('pc-q35-rhel8.6.0', 'q35')
    xml = re.sub('<qemu:(capabilities|commandline)>.*?</qemu:\\1>', '', xml, flags=re.DOTALL)
    xml = re.sub('<graphics.*?</graphics>', '', xml, flags=re.DOTALL)
    defined = alpha.conn.defineXML(xml).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    for mac, profile in profiles.items():
        assert re.search(
            rf"<mac address='{mac}'/>\s*<source network='direct-pool'/>\s*<virtualport "
            rf"type='802.1Qbh'>\s*<parameters profileid='{profile}'/>",
            defined,
        )
