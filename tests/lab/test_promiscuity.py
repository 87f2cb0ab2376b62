# SPDX-License-Identifier: GPL-2.0-or-later
"""
Kernels that count the promiscuity of a VM-FEX NIC wrongly (check C), and the library that libvirtd has for
them: libvirt copies the guest's filter, IFF_PROMISC included, to a macvtap that is down.
"""

import libvirt
import pytest

from tests.lab import guest
from tests.lab.kinds import ON_EL9
from tests.lab.vm import VM
from tests.lab.wait import wait_for
from tests.messages import matches, rows

pytestmark = ON_EL9
COPIES_AT_START = libvirt.getVersion() >= 8009000


def is_promiscuous(host, vm):
    [nic] = vm.nics(host).values()
    return 'PROMISC' in host.run('ip', '-o', 'link', 'show', nic.find('target').get('dev'))


def run_until_the_driver_is_loaded(host, folder):
    """Start a VM with Linux, and stop it when libvirt has copied the filter of its driver."""
    vm = VM(profiles=('P',), nics=1)
    guest.give_linux(vm, str(folder))
    vm.start(host)
    assert is_promiscuous(host, vm) == COPIES_AT_START
    guest.wait_for_answer(host, vm, vm.macs[0])
    wait_for(lambda: not is_promiscuous(host, vm))
    vm.stop(host)


def check_serves(host, *numbers):
    """VMs of these numbers start, one after the other, on the host's first NIC."""
    for number in numbers:
        vm = VM(number, profiles=('P',), nics=1)
        vm.start(host)
        assert list(vm.vic_nics(host).values()) == host.pool[:1]
        vm.stop(host)


def test_nic_serves_vm_after_vm(alpha, tmp_path):
    run_until_the_driver_is_loaded(alpha, tmp_path)
    check_serves(alpha, 1, 2)


@pytest.mark.skipif(not COPIES_AT_START, reason="this libvirt does not copy a guest's filter at its start")
def test_without_the_library_a_nic_serves_one_vm_only_and_the_library_does_not_cure_it(alpha, tmp_path):
    alpha.checks, alpha.port_profile = 'C', False
    alpha.restart_libvirtd()
    run_until_the_driver_is_loaded(alpha, tmp_path)
    for port_profile in False, True:
        alpha.port_profile = port_profile
        alpha.restart_libvirtd()
        with pytest.raises(libvirt.libvirtError, match='Value too large for defined data type') as error:
            check_serves(alpha, 1)
        assert [row for row in rows("libvirt's error") if matches(row, str(error.value))]
        assert alpha.pool_nics()['eth3'] == 0


def test_promiscuous_guest_stays_so_and_its_nics_serve_others_after_it(alpha, beta, tmp_path):
    vm = VM(profiles=('P',), nics=1)
    guest.give_linux(vm, str(tmp_path), guest.PROMISCUOUS_INIT)
    vm.start(alpha)
    guest.wait_for_answer(alpha, vm, vm.macs[0])
    wait_for(lambda: is_promiscuous(alpha, vm))
    vm.migrate(alpha, beta)
    assert is_promiscuous(beta, vm) == COPIES_AT_START
    vm.suspend(beta)
    vm.resume(beta)
    assert is_promiscuous(beta, vm) == COPIES_AT_START
    vm.stop(beta)
    for host in alpha, beta:
        check_serves(host, 1, 2)
