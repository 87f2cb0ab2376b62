# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's NICs, on a made-up sysfs."""

import os
import shutil

import pytest

from tests.lab.sysfs import DOWN, UP, VF, VNIC, Sysfs
from vmfex import host

PF = 'enp6s0f0'


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
    assert host.vmfex_nics() == (['eth3', 'eth4'], [])


def test_nics_are_in_the_order_a_person_counts(sysfs):
    for nic in 'eth10', 'enp6s0f1', 'eth9', 'eth2', 'enp6s0f0', 'eth':
        sysfs.add(nic)
    assert host.vmfex_nics().nics == ['enp6s0f0', 'enp6s0f1', 'eth', 'eth2', 'eth9', 'eth10']


def test_host_without_vmfex_nics_has_none(sysfs):
    assert host.vmfex_nics() == ([], [])


def test_vfs_are_usable_while_their_pf_is_up(sysfs):
    for pf in PF, 'enp6s0f1':
        sysfs.add(pf, '00:25:b5:00:00:01', device=VNIC)
        sysfs.add('eth3' if pf == PF else 'eth4', device=VF, pf=pf)
    sysfs.add('eth5')
    assert host.vmfex_nics() == (['eth3', 'eth4', 'eth5'], [])
    sysfs.set_link(PF, DOWN)
    assert host.vmfex_nics() == (['eth4', 'eth5'], [PF])
    sysfs.set_link('enp6s0f1', DOWN)
    assert host.vmfex_nics() == (['eth5'], [PF, 'enp6s0f1'])
    sysfs.set_link(PF, UP)
    assert host.vmfex_nics() == (['eth3', 'eth5'], ['enp6s0f1'])


def test_nic_that_goes_away_meanwhile_is_not_there(sysfs, monkeypatch):
    for nic in 'eth3', 'eth4':
        sysfs.add(nic)
    shutil.rmtree(sysfs.device('eth3'))  # and its link is still in the list
    assert 'eth3' in os.listdir(sysfs.class_net)
    assert host.vmfex_nics().nics == ['eth4']
