# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's NICs, on a made-up sysfs; tests/lab has what keeps VMs off them, in the kernel's."""

import shutil

import pytest

from tests.lab.sysfs import VF, VNIC, Sysfs
from vmfex import host


@pytest.fixture
def sysfs(tmpdir, monkeypatch):
    """A host without NICs: the test adds some."""
    sysfs = Sysfs(str(tmpdir.join('sys')))
    monkeypatch.setattr(host, 'SYS_NET', sysfs.class_net)
    return sysfs


def test_vmfex_nics_are_known_by_their_pci_device_and_in_the_order_a_person_counts(sysfs, tmpdir):
    tmpdir.join('sys/class/net/bonding_masters').write('bond0')  # not a NIC, but there on many hosts
    for nic in 'eth10', 'enp6s0f1', 'eth9', 'eth2', 'enp6s0f0', 'eth':
        sysfs.add(nic)
    sysfs.add('eth3', device=VNIC)
    sysfs.add('eth4', device=VF, pf='eth3')
    sysfs.add('eth5', vendor='0x8086')
    sysfs.add('eth6')
    shutil.rmtree(sysfs.device('eth6'))  # gone meanwhile, and its link is still in the list
    vmfex, others = host.read_nics()
    assert vmfex == ['eth', 'eth2', 'eth4', 'eth9', 'eth10', 'enp6s0f0', 'enp6s0f1']
    assert others == {'eth3', 'eth5', 'eth6', 'bonding_masters'}


def test_fault_is_named_unless_it_is_a_macvtap_that_leaves(sysfs, tmpdir):
    sysfs.add('eth2', device=VNIC)
    sysfs.add('eth3', device=VF, pf='eth2')
    assert host.find_fault('eth3') == "eth3 can't be read (No such file or directory)"  # its PF has no flags
    for flags, fault in ('0x1002', 'PF eth2 of eth3 is down'), ('0x1003', ''):
        tmpdir.join('sys/class/net/eth2/flags').write(flags)
        assert host.find_fault('eth3') == fault
    for upper in 'macvtap7', 'macvtap8':
        tmpdir.join('sys/class/net/eth3/upper_' + upper).write('')
        assert host.find_fault('eth3', {'macvtap7'}) == ('macvtap8 is on eth3' if upper[-1] == '8' else '')
    assert host.find_fault('eth3') == 'macvtap7 is on eth3'
