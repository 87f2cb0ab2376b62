# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's NICs, on a made-up sysfs."""

import os
import shutil

import pytest

from tests.lab.sysfs import DOWN, UP, VF, VNIC, Sysfs
from vmfex import host

PF = 'enp6s0f0'
FILE = 'bonding_masters'  # not a NIC


@pytest.fixture
def sysfs(tmpdir, monkeypatch):
    sysfs = Sysfs(str(tmpdir.join('sys')))
    monkeypatch.setattr(host, 'SYS_NET', sysfs.class_net)
    return sysfs


def test_vmfex_nics_are_known_by_their_pci_device_whatever_their_mac(sysfs):
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


def test_host_without_vmfex_nics_has_none(sysfs):
    assert host.read_nics() == ({}, {FILE})


def test_vfs_are_usable_while_their_pf_is_up(sysfs):
    for pf in PF, 'enp6s0f1':
        sysfs.add(pf, '00:25:b5:00:00:01', device=VNIC)
        sysfs.add('eth3' if pf == PF else 'eth4', device=VF, pf=pf)
    sysfs.add('eth5')
    assert host.read_nics().vmfex == {'eth3': '', 'eth4': '', 'eth5': ''}
    sysfs.set_link(PF, DOWN)
    assert host.read_nics().vmfex == {'eth3': f'PF {PF} of eth3 is down', 'eth4': '', 'eth5': ''}
    sysfs.set_link(PF, UP)
    sysfs.set_link('enp6s0f1', DOWN)
    assert host.read_nics().vmfex == {'eth3': '', 'eth4': 'PF enp6s0f1 of eth4 is down', 'eth5': ''}


def test_what_is_on_a_nic_is_named(sysfs):
    for nic in 'eth3', 'eth4', 'eth5', 'eth6':
        sysfs.add(nic)
    sysfs.add('ovirtmgmt', vendor=None)
    sysfs.put_on('eth3', 'ovirtmgmt', bridge=True)
    sysfs.put_on('eth4', 'macvtap0')
    sysfs.put_on('eth6', 'eth6.7')
    assert host.read_nics().vmfex == {
        'eth3': 'eth3 is a port of ovirtmgmt',
        'eth4': 'macvtap0 is on eth4',
        'eth5': '',
        'eth6': 'eth6.7 is on eth6',
    }
    sysfs.take_off('eth3', 'ovirtmgmt')
    assert host.read_nics().vmfex['eth3'] == ''


def test_nic_that_goes_away_meanwhile_is_not_there(sysfs, monkeypatch):
    for nic in 'eth3', 'eth4':
        sysfs.add(nic)
    shutil.rmtree(sysfs.device('eth3'))  # and its link is still in the list
    assert 'eth3' in os.listdir(sysfs.class_net)
    assert list(host.read_nics().vmfex) == ['eth4']
