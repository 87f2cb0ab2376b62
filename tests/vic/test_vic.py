# SPDX-License-Identifier: GPL-2.0-or-later
"""
VMs on the real driver: machines whose VICs are the tests' own.

The tests are one story: they run in this order, on the same machines.
"""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from xml.etree import ElementTree

import libvirt
import pytest

from tests.lab import guest
from tests.lab.fabric import PORT_PROFILE, Fabric
from tests.lab.hosts import CAPABILITIES, Host
from tests.lab.vm import VM
from tests.lab.wait import wait_for
from tests.vdsm_runner import HookError
from tests.vic.firmware import Request, Vnic
from tests.vic.machine import Machine, fill_shared, find_kernel, has_vfio_user
from tests.vic.sriov import Pf, Vf
from tests.xml_builders import PLUGGED, UNFIT, engine_nic_xml

pytestmark = pytest.mark.timeout(900)  # without KVM, and on a machine with other work
ZERO = '00:00:00:00:00:00'
# The names of a machine's VM-FEX NICs, of whichever kind.
POOL = ['eth2', 'eth3', 'eth4']
QTEST = '<qemu:arg value="-qtest"/><qemu:arg value="unix:{},server=on,wait=off"/>'


@pytest.fixture(scope='module')
def kernel():
    """The path of the machines' kernel."""
    if not has_vfio_user():
        pytest.skip('QEMU has no vfio-user-pci: that came with 10.1')
    return find_kernel() or pytest.skip(
        'no kernel with the enic driver in /boot and /lib/modules: Debian has it in linux-image-amd64'
    )


@pytest.fixture(scope='module')
def shared(kernel, hooks_by_make, fabric_library):
    """A folder that all machines share, also for the hooks' temporary files; with a network of its own."""
    os.unshare(os.CLONE_NEWNET)
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
    with tempfile.TemporaryDirectory(prefix='vmfex-vic-') as folder:
        fill_shared(
            folder, kernel, hooks_by_make, os.path.join(os.path.dirname(fabric_library), PORT_PROFILE)
        )
        yield folder


@pytest.fixture(scope='module')
def refused():
    """The port profiles that the fabric refuses."""
    return {'Refused'}


def make_vnics(folder, refused, mac):
    dynamic = [Vnic(f'{folder}/{nic}', refused) for nic in POOL]
    return [Vnic(f'{folder}/eth1', refused, mac), *dynamic]


def make_vfs(folder, refused, mac):
    return [Pf(f'{folder}/eth1', refused, mac, [Vf(f'{folder}/{nic}', refused) for nic in POOL])]


@pytest.fixture(scope='module')
def machines(kernel, shared, refused):
    """Three machines that boot, by name: alpha has dynamic vNICs, beta and gamma have VFs."""
    with contextlib.ExitStack() as stack:
        machines = {}
        for name, make in ('alpha', make_vnics), ('beta', make_vfs), ('gamma', make_vfs):
            folder = os.path.join(shared, 'vnics-' + name)
            os.mkdir(folder)
            vnics = make(folder, refused, f'00:25:b5:00:00:0{len(machines)}')
            machines[name] = stack.enter_context(Machine(name, shared, kernel, vnics))
        yield machines


@pytest.fixture(scope='module')
def suspended(machines, shared, hooks_by_make, fabric_library):
    """
    A VM with Linux, with port profile Profile2 and a static IPv6 address, and the file with its memory.

    A host of the lab boots it: a VM in a machine takes minutes for that.
    """
    vm, image = VM(2, profiles=('Profile2',), nics=2), os.path.join(shared, 'image')
    # Its NICs offer no more than those of 2023 could: an older kernel's have to take it.
    vm.xml = vm.xml.replace('machine="q35"', 'machine="pc-q35-8.0"')
    files = os.path.join(shared, 'guest')
    os.mkdir(files)
    lab = Fabric(os.path.join(shared, 'fabric'))
    with Host('delta', os.path.join(shared, 'delta'), hooks_by_make, fabric_library, lab) as host:
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
def hosts(machines, suspended):
    """The three machines, with libvirtd, which runs without the library at first on alpha and beta."""
    for name, machine in machines.items():
        machine.wait_until_up()
        machine.start_libvirtd(library=name == 'gamma')
    return machines


@pytest.fixture(scope='module', params=['alpha', 'beta'], ids=['vnics', 'vfs'])
def host(request, hosts):
    """A host of each kind."""
    return hosts[request.param]


@pytest.fixture(scope='module')
def vm(host):
    return VM(10 * host.number, profiles=('Profile1',), nics=2)


def vnic_of(vm, machine, mac):
    """Return the Vnic of a VM's NIC."""
    return machine.nics[vm.vic_nics(machine)[mac]]


def asked(vnic):
    """Return what the fabric was asked for a vNIC since the last time."""
    requests, vnic.requests = vnic.requests, []
    return requests


def group_of(mac):
    """Return the MAC address of the group to ask for the static address of a guest's NIC (RFC 4861)."""
    return '33:33:ff:00:' + mac[-5:]


def mac_on(machine, nic):
    return machine.run('cat', f'/sys/class/net/{nic}/address').strip()


def link_of(machine, nic):
    [link] = json.loads(machine.run('ip', '-details', '-json', 'link', 'show', nic))
    return link


def wait_for_filter(machine, macvtap, group):
    """Wait until a macvtap takes the packets of a guest's group, and is not promiscuous."""
    wait_for(lambda: group in machine.run('ip', 'maddress', 'show', 'dev', macvtap), 300)
    wait_for(lambda: 'PROMISC' not in link_of(machine, macvtap)['flags'], 300)


def test_driver_takes_all_nics(host):
    for nic in host.nics:
        driver = host.run('readlink', '-f', f'/sys/class/net/{nic}/device/driver')
        assert driver == '/sys/bus/pci/drivers/enic\n'
    assert [mac_on(host, nic) for nic in host.nics] == [host.vnics[0].mac, ZERO, ZERO, ZERO]


def test_request_is_refused_without_the_library(host):
    vm = VM(10 * host.number + 1, profiles=('Profile1',), nics=1)
    try:
        vm.start(host)
    except libvirt.libvirtError as e:
        assert 'sending of PortProfileRequest failed' in str(e)
        assert not any(map(asked, host.nics.values()))
    else:
        vm.stop(host)
        assert all(len(asked(vnic)) in (0, 2) for vnic in host.nics.values())  # it came and went
        assert 'KERNEL' in os.environ and host.vnics[0].vfs
        pytest.skip('this kernel takes requests for VFs as they are: it is without the fix of CVE-2024-38659')
    finally:
        host.stop_libvirtd()
        host.start_libvirtd()


def test_vm_starts(host, vm):
    vm.start(host)
    pool = ElementTree.fromstring(host.conn.networkLookupByName('direct-pool').XMLDesc())
    assert [nic.get('dev') for nic in pool.findall('forward/interface')] == POOL
    [(mac, nic)] = vm.vic_nics(host).items()
    assert asked(host.nics[nic]) == [Request('ASSOCIATE', 'Profile1', mac, vm.uuid)]
    assert mac_on(host, nic) == mac
    assert wait_for(lambda: host.run('cat', f'/sys/class/net/{nic}/carrier') == '1\n', 300)


def test_nic_is_plugged(host, vm):
    vm.add_profile(PLUGGED, 'Plugged')
    vm.plug(host, PLUGGED, extra=UNFIT)
    assert asked(vnic_of(vm, host, PLUGGED)) == [Request('ASSOCIATE', 'Plugged', PLUGGED, vm.uuid)]


def test_link_is_switched(host, vm):
    for link in 'down', 'up':
        vm.update(host, engine_nic_xml(vm.macs[0], link=link, extra=UNFIT))
        assert vm.nics(host)[vm.macs[0]].find('link').get('state') == link
    assert not asked(vnic_of(vm, host, vm.macs[0]))


def test_refused_port_profile(host):
    vm = VM(10 * host.number + 1, profiles=('Refused',), nics=1)
    with pytest.raises(libvirt.libvirtError, match='port-profile setlink'):
        vm.start(host)
    assert asked(host.nics['eth4']) == [Request('ASSOCIATE', 'Refused', vm.macs[0], vm.uuid)]
    # libvirt leaves the MAC, and the next VM can start there.
    assert mac_on(host, 'eth4') == vm.macs[0]


def test_vm_stops(host, vm):
    nics = vm.vic_nics(host)
    vm.stop(host)
    for mac, nic in nics.items():
        assert asked(host.nics[nic]) == [Request('DISASSOCIATE', vm.profiles[mac], mac, vm.uuid)]
        assert mac_on(host, nic) != mac


def test_nic_serves_vm_after_vm(host):
    """Its macvtap's filter follows each guest's, and its own is as before when the VM has stopped."""
    before = link_of(host, 'eth2')['promiscuity']
    for number in range(10 * host.number + 4, 10 * host.number + 7):
        vm = VM(number, profiles=('Profile1',), nics=1)
        [mac], qtest = vm.macs, f'/run/{vm.name}'
        vm.xml = vm.xml.replace('</qemu:commandline>', QTEST.format(qtest) + '</qemu:commandline>')
        vm.start(host)
        assert vm.vic_nics(host) == {mac: 'eth2'}
        macvtap = vm.nics(host)[mac].find('target').get('dev')
        assert 'PROMISC' in link_of(host, macvtap)['flags']  # as a virtio NIC is at first
        bus, registers = vm.pci_function(host, mac)
        driver = f'{host.shared}/tests/vic/guest_driver.py'
        host.run('python3', driver, qtest, str(bus), hex(registers), group_of(mac))
        wait_for_filter(host, macvtap, group_of(mac))
        vm.stop(host)
        request = Request('ASSOCIATE', 'Profile1', mac, vm.uuid)
        assert asked(host.nics['eth2']) == [request, request._replace(operation='DISASSOCIATE')]
        assert link_of(host, 'eth2')['promiscuity'] == before


def test_vf_whose_pf_is_down(hosts):
    beta = hosts['beta']
    beta.run('ip', 'link', 'set', 'eth1', 'down')
    with pytest.raises(HookError, match='PF eth1 of eth2 is down'):
        VM(4, profiles=('Profile1',), nics=1).start(beta)
    beta.run('ip', 'link', 'set', 'eth1', 'up')


def test_vm_migrates(hosts):
    vm = VM(3, profiles=('Profile1', 'Profile2'), nics=3)
    vm.start(hosts['alpha'])
    for source, destination in ('alpha', 'beta'), ('beta', 'gamma'), ('gamma', 'alpha'):
        source, destination = hosts[source], hosts[destination]
        left = vm.vic_nics(source)
        vm.migrate(source, destination)
        for mac, profile in vm.profiles.items():
            request = Request('ASSOCIATE', profile, mac, vm.uuid)
            before, after = (request._replace(operation=name) for name in ('PREASSOCIATE_RR', 'DISASSOCIATE'))
            assert asked(vnic_of(vm, destination, mac)) == [before, request]
            assert asked(source.nics[left[mac]])[-1:] == [after]
            assert mac_on(source, left[mac]) != mac


def test_guest_with_a_static_ipv6_address_gets_its_multicast(hosts, suspended):
    alpha, (vm, image) = hosts['alpha'], suspended
    saved = alpha.conn.saveImageGetXMLDesc(image)
    alpha.hook('before_vm_start', vm.xml, vm.vmfex, vm.uuid)
    alpha.hook('before_vm_dehibernate', saved, vm.vmfex, vm.uuid)
    alpha.conn.restoreFlags(image, saved.replace("mode='connect'", "mode='bind'"))
    [mac] = vm.profiles
    vnic = vnic_of(vm, alpha, mac)
    assert asked(vnic)[-1] == Request('ASSOCIATE', 'Profile2', mac, vm.uuid)
    # By being promiscuous, which a macvtap of mode passthrough makes its NIC; it filters itself, though.
    assert vnic.takes(group_of(mac))
    wait_for_filter(alpha, vm.nics(alpha)[mac].find('target').get('dev'), group_of(mac))
    vm.on(alpha).destroy()
