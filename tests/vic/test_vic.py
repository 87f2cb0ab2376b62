# SPDX-License-Identifier: GPL-2.0-or-later
"""
VMs on the real driver: machines with Debian's kernel, whose VICs are the tests' own.

The tests are one story: they run in this order, on the same machines.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile

import libvirt
import pytest

from tests.lab import guest
from tests.lab.fabric import PORT_PROFILE, Fabric
from tests.lab.hosts import CAPABILITIES, Host
from tests.lab.vm import VM
from tests.lab.wait import wait_for
from tests.vic.firmware import Request, Vnic
from tests.vic.machine import Machine, find_kernel, has_vfio_user
from tests.xml_builders import PLUGGED, UNFIT, engine_nic_xml

pytestmark = pytest.mark.timeout(900)  # without KVM, and on a machine with other work
ZERO = '00:00:00:00:00:00'


@pytest.fixture(scope='module')
def shared():
    """A folder that all machines share, also for the hooks' temporary files; with a network of its own."""
    if not has_vfio_user():
        pytest.skip('QEMU has no vfio-user-pci: that came with 10.1')
    if not find_kernel():
        pytest.skip('no kernel with the enic driver in /boot: Debian has it in linux-image-amd64')
    os.unshare(os.CLONE_NEWNET)
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
    with tempfile.TemporaryDirectory(prefix='vmfex-vic-') as folder:
        yield folder


@pytest.fixture(scope='module')
def library(fabric_library):
    """The path of libvirtd's library."""
    return os.path.join(os.path.dirname(fabric_library), PORT_PROFILE)


@pytest.fixture(scope='module')
def refused():
    """The port profiles that the fabric refuses."""
    return set()


@pytest.fixture(scope='module')
def machines(shared, refused, hooks_by_make):
    """Two machines that boot."""
    with contextlib.ExitStack() as stack:
        machines = []
        for name, own in ('alpha', '00:25:b5:00:00:01'), ('beta', '00:25:b5:00:01:01'):
            sockets = [f'{shared}/{name}-{number}' for number in range(4)]
            vnics = [Vnic(sockets[0], refused, own), *(Vnic(socket, refused) for socket in sockets[1:])]
            machines.append(stack.enter_context(Machine(name, shared, vnics, hooks_by_make)))
        yield machines


@pytest.fixture(scope='module')
def suspended(machines, shared, hooks_by_make, fabric_library):
    """
    A VM with Linux, with port profile Profile2 and a static IPv6 address, and the file with its memory.

    A host of the lab boots it: a VM in a machine takes minutes for that.
    """
    vm, image = VM(2, profiles=('Profile2',), nics=2), os.path.join(shared, 'image')
    files = os.path.join(shared, 'guest')
    os.mkdir(files)
    lab = Fabric(os.path.join(shared, 'fabric'))
    with Host('gamma', os.path.join(shared, 'gamma'), hooks_by_make, fabric_library, lab) as host:
        # What its libvirtd finds out about QEMU is to hold in the machines.
        host.run('sh', '-c', '[ ! -e /dev/kvm ] || mount --bind /dev/null /dev/kvm')
        guest.give_linux(vm, files)
        vm.start(host)
        for mac in vm.macs:
            guest.wait_for_answer(host, vm, mac)
        vm.on(host).save(image)
    shutil.copytree(CAPABILITIES[0], os.path.join(shared, 'capabilities'))
    return vm, image


@pytest.fixture(scope='module')
def alpha(machines, suspended, library):
    machines[0].wait_until_up()
    machines[0].start_libvirtd(LD_PRELOAD=library)
    return machines[0]


@pytest.fixture(scope='module')
def beta(machines, suspended):
    """It runs libvirtd without the library."""
    machines[1].wait_until_up()
    machines[1].start_libvirtd()
    return machines[1]


@pytest.fixture(scope='module')
def vm():
    return VM(profiles=('Profile1',), nics=2)


def vnic_of(vm, machine, mac=None):
    """Return the name and the Vnic of a VM's NIC, its first one if no MAC is given."""
    nic = vm.vic_nics(machine)[mac or vm.macs[0]]
    return nic, machine.nics[nic]


def group_of(mac):
    """Return the MAC address of the group to ask for the static address of a guest's NIC (RFC 4861)."""
    return '33:33:ff:00:' + mac[-5:]


def mac_on(machine, nic):
    return machine.run('cat', f'/sys/class/net/{nic}/address').strip()


def test_driver_takes_all_vnics_and_the_hook_the_dynamic_ones(alpha, vm):
    for nic in alpha.nics:
        driver = alpha.run('readlink', '-f', f'/sys/class/net/{nic}/device/driver')
        assert driver == '/sys/bus/pci/drivers/enic\n'
    assert mac_on(alpha, 'eth1') == '00:25:b5:00:00:01'
    assert mac_on(alpha, 'eth2') == ZERO


def test_vm_starts(alpha, vm):
    log = vm.start(alpha)
    assert 'direct-pool defined: eth2, eth3, eth4\n' in log
    nic, vnic = vnic_of(vm, alpha)
    assert vnic.requests == [Request('ASSOCIATE', 'Profile1', vm.macs[0], vm.uuid)]
    assert mac_on(alpha, nic) == vm.macs[0]
    assert wait_for(lambda: alpha.run('cat', f'/sys/class/net/{nic}/carrier') == '1\n', 300)


def test_nic_is_plugged(alpha, vm):
    vm.add_profile(PLUGGED, 'Plugged')
    vm.plug(alpha, PLUGGED, extra=UNFIT)
    _, vnic = vnic_of(vm, alpha, PLUGGED)
    assert vnic.requests == [Request('ASSOCIATE', 'Plugged', PLUGGED, vm.uuid)]


def test_link_is_switched(alpha, vm):
    _, vnic = vnic_of(vm, alpha)
    for link in 'down', 'up':
        vm.update(alpha, engine_nic_xml(vm.macs[0], link=link, extra=UNFIT))
        assert vm.nics(alpha)[vm.macs[0]].find('link').get('state') == link
    assert len(vnic.requests) == 1


def test_refused_port_profile(alpha, refused):
    refused.add('Refused')
    vm = VM(1, profiles=('Refused',), nics=1)
    with pytest.raises(libvirt.libvirtError, match='port-profile setlink'):
        vm.start(alpha)
    assert alpha.nics['eth4'].requests == [Request('ASSOCIATE', 'Refused', vm.macs[0], vm.uuid)]
    # libvirt leaves the MAC, and the next VM can start there.
    assert mac_on(alpha, 'eth4') == vm.macs[0]


def test_request_is_refused_without_the_library(beta, library):
    vm = VM(3, profiles=('Profile1',), nics=1)
    with pytest.raises(libvirt.libvirtError, match='sending of PortProfileRequest failed'):
        vm.start(beta)
    assert [vnic.requests for vnic in beta.nics.values()] == [[], [], [], []]
    beta.stop_libvirtd()
    beta.start_libvirtd(LD_PRELOAD=library)


def test_vm_migrates(alpha, beta, vm):
    left = vm.vic_nics(alpha)
    vm.migrate(alpha, beta)
    for mac, profile in vm.profiles.items():
        request = Request('ASSOCIATE', profile, mac, vm.uuid)
        assert alpha.nics[left[mac]].requests[1:] == [request._replace(operation='DISASSOCIATE')]
        assert mac_on(alpha, left[mac]) == ZERO
        _, vnic = vnic_of(vm, beta, mac)
        assert vnic.requests == [request._replace(operation='PREASSOCIATE_RR'), request]


def test_vm_stops(beta, vm):
    nics = vm.vic_nics(beta)
    vm.stop(beta)
    for mac, nic in nics.items():
        assert beta.nics[nic].requests[2:] == [Request('DISASSOCIATE', vm.profiles[mac], mac, vm.uuid)]
        assert mac_on(beta, nic) != mac


def test_guest_with_a_static_ipv6_address_gets_its_multicast(alpha, suspended):
    vm, image = suspended
    saved = alpha.conn.saveImageGetXMLDesc(image)
    alpha.hook('before_vm_start', vm.xml, vm.vmfex, vm.uuid)
    alpha.hook('before_vm_dehibernate', saved, vm.vmfex, vm.uuid)
    alpha.conn.restoreFlags(image, saved.replace("mode='connect'", "mode='bind'"))
    [mac] = vm.profiles
    _, vnic = vnic_of(vm, alpha)
    assert vnic.requests[-1] == Request('ASSOCIATE', 'Profile2', mac, vm.uuid)
    # By being promiscuous, which a macvtap of mode passthrough makes its NIC; it filters itself, though.
    assert vnic.takes(group_of(mac))
    macvtap = vm.nics(alpha)[mac].find('target').get('dev')
    assert wait_for(lambda: group_of(mac) in alpha.run('ip', 'maddress', 'show', 'dev', macvtap), 300)
    vm.on(alpha).destroy()
