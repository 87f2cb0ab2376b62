# SPDX-License-Identifier: GPL-2.0-or-later
"""VMs really start on 802.1Qbh: what the README promises for one host."""

import concurrent.futures
import re
import subprocess
from collections import Counter
from pathlib import Path

import libvirt

from tests.hook import TESTS
from tests.lab.kinds import ON_BOTH_KINDS
from tests.lab.vm import VM


@ON_BOTH_KINDS
def test_vm_starts_on_its_port_profiles_and_stops(fabric, alpha):
    vm = VM()
    vm.start(alpha)
    names = vm.vic_nics(alpha)
    assert names == dict(zip(vm.profiles, ('eth3', 'eth4')))
    assert fabric.ports(alpha, 'ASSOCIATE') == vm.ports(names)
    for mac, name in names.items():
        assert alpha.mac(name) == mac
    for mac in vm.macs[2:]:
        nic = vm.nics(alpha)[mac]
        assert (nic.get('type'), nic.find('source').get('bridge')) == ('bridge', 'ovirtmgmt')
    assert len(fabric.requests()) == 2

    vm.stop(alpha)
    assert fabric.ports(alpha, 'DISASSOCIATE') == [('eth3', '-', '-'), ('eth4', '-', '-')]
    assert alpha.idle_nics() == alpha.pool
    assert set(alpha.pool_nics().values()) == {0}


@ON_BOTH_KINDS
def test_suspended_vm_resumes_on_a_host_that_lost_its_pool(fabric, alpha):
    vm = VM(profiles=(), own=('Own1', 'Own2'))
    vm.start(alpha)
    vm.suspend(alpha)
    assert alpha.idle_nics() == alpha.pool
    alpha.restart_libvirtd()
    pool = alpha.net
    pool.destroy()
    pool.undefine()
    fabric.forget()
    assert 'direct-pool started' in vm.resume(alpha)
    assert fabric.ports(alpha, 'ASSOCIATE') == vm.ports(vm.vic_nics(alpha))
    assert vm.runs_on(alpha)


@ON_BOTH_KINDS
def test_ten_vms_at_once_on_a_host_with_no_pool(fabric, alpha):
    alpha.add_nics(*(f'eth{i}' for i in range(12, 23)))
    vms = [VM(number) for number in range(10)]
    # libvirt takes trustGuestRxFilters with each model.
    for vm, model in zip(vms, ('e1000', 'e1000e', 'rtl8139')):
        vm.xml = vm.xml.replace('<model type="virtio"/>', f'<model type="{model}"/>')
    with concurrent.futures.ThreadPoolExecutor(len(vms)) as executor:
        logs = list(executor.map(lambda vm: vm.start(alpha), vms))
    assert ''.join(logs).count('direct-pool started') == 1
    on = Counter(nic for vm in vms for nic in vm.vic_nics(alpha).values())
    assert on == Counter(f'eth{i}' for i in range(3, 23))
    associated = fabric.requests(operation='ASSOCIATE')
    assert sorted((request.vm, request.profile) for request in associated) == sorted(
        (vm.uuid, profile) for vm in vms for profile in vm.profiles.values()
    )


def test_whole_domain_of_the_engine_is_valid_and_defined(alpha, tmp_path):
    engines = Path(TESTS, 'data', 'domain.xml').read_text(encoding='utf-8')  # with NICs of all kinds
    profiles = {f'00:1a:4a:16:01:5{i}': f'P{i}' for i in (1, 2, 4, 5)}
    xml, _ = alpha.hook('before_vm_start', engines, str(profiles))
    (tmp_path / 'domain.xml').write_text(xml, encoding='utf-8')
    subprocess.run(['virt-xml-validate', str(tmp_path / 'domain.xml'), 'domain'], check=True)
    again, log = alpha.hook('before_vm_start', xml, str(profiles))
    assert again == xml and 'NIC 00:1a:4a:16:01:51 is on port profile P1 already\n' in log

    # Less what this machine's QEMU lacks.
    xml = xml.replace('"kvm"', '"qemu"').replace('pc-q35-rhel8.6.0', 'q35')
    xml = re.sub('<(qemu:capabilities|qemu:commandline|graphics).*?</\\1>', '', xml, flags=re.DOTALL)
    defined = alpha.conn.defineXML(xml).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    assert re.findall("<parameters profileid='(.*)'/>", defined) == list(profiles.values())
