# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's NICs, on a made-up sysfs."""

import shutil

import pytest

from tests.lab.sysfs import DOWN, UP, VF, VNIC, Sysfs
from vmfex import host

PF = 'enp6s0f0'
FILE = 'bonding_masters'  # not a NIC


@pytest.fixture
def sysfs(tmpdir, monkeypatch):
    """A host without NICs: the test adds some."""
    sysfs = Sysfs(str(tmpdir.join('sys')))
    monkeypatch.setattr(host, 'SYS_NET', sysfs.class_net)
    return sysfs


def test_vmfex_nics_are_known_by_their_pci_device_whatever_their_mac(sysfs):
    assert host.read_nics() == ({}, {FILE})
    sysfs.add('eth0', '00:25:b5:00:00:01', device=VNIC)
    sysfs.add('eth1', device=VNIC)  # a driver refuses its zeros, but the rule is the device
    sysfs.add('eth3')
    sysfs.add('eth4', '00:1a:4a:16:01:51')  # libvirt leaves a VM's MAC there when the fabric refused it
    sysfs.add('eth5', vendor='0x8086')
    sysfs.add('ovirtmgmt', vendor=None)
    assert host.read_nics() == ({'eth3': '', 'eth4': ''}, {'eth0', 'eth1', 'eth5', 'ovirtmgmt', FILE})


def test_nics_are_in_the_order_a_person_counts(sysfs):
    for nic in 'eth10', 'enp6s0f1', 'eth9', 'eth2', 'enp6s0f0', 'eth':
        sysfs.add(nic)
    assert list(host.read_nics().vmfex) == ['eth', 'eth2', 'eth9', 'eth10', 'enp6s0f0', 'enp6s0f1']


def test_vfs_are_usable_while_their_pf_is_up(sysfs):
    for pf, vf in (PF, 'eth3'), ('enp6s0f1', 'eth4'):
        sysfs.add(pf, '00:25:b5:00:00:01', device=VNIC)
        sysfs.add(vf, device=VF, pf=pf)
    sysfs.add('eth5')
    for state, fault in (UP, ''), (DOWN, f'PF {PF} of eth3 is down'), (UP, ''):
        sysfs.set_link(PF, state)
        assert host.read_nics().vmfex == {'eth3': fault, 'eth4': '', 'eth5': ''}


def test_what_is_on_a_nic_is_named(sysfs):
    for nic in 'eth3', 'eth4', 'eth5', 'eth6':
        sysfs.add(nic)
    sysfs.add('ovirtmgmt', vendor=None)
    sysfs.put_on('eth3', 'ovirtmgmt', bridge=True)
    sysfs.put_on('eth4', 'macvtap0')
    sysfs.put_on('eth6', 'eth6.7')
    faults = 'eth3 is a port of ovirtmgmt', 'macvtap0 is on eth4', '', 'eth6.7 is on eth6'
    assert list(host.read_nics().vmfex.values()) == list(faults)


def test_nic_that_goes_away_meanwhile_is_not_there(sysfs):
    for nic in 'eth3', 'eth4':
        sysfs.add(nic)
    shutil.rmtree(sysfs.device('eth3'))  # and its link is still in the list
    assert host.read_nics() == ({'eth4': ''}, {'eth3', FILE})
