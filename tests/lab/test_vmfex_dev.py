# SPDX-License-Identifier: GPL-2.0-or-later
"""Side by side with VDSM's other hook, vdsm-hook-vmfex-dev: its VMs go on when this one replaces it."""

import re
from pathlib import Path

import libvirt
import pytest

from tests.lab.vm import VM
from tests.vdsm_runner import call_hook, find_vdsm
from tests.xml_builders import FILTER, PLUGGED, PORT, UNFIT, engine_nic_xml

# Its package installs it beside VDSM's.
USR = Path(find_vdsm()).parents[2] if find_vdsm() else Path('/usr')
FOLDER = USR / 'libexec/vdsm/hooks/before_device_create'
pytestmark = pytest.mark.skipif(
    not (FOLDER / '50_vmfex').exists(),
    reason="vdsm-hook-vmfex-dev is not here: see VDSM_LIB in CONTRIBUTING.md",
)


@pytest.fixture
def vmfex_dev(tmp_path):
    """Runs that hook for a NIC on a host, as VDSM does at before_device_create. Returns the XML."""

    def run(host, xml, profile):
        for nic in host.idle_nics():  # it looks for NICs with this MAC address on the PCI bus
            address = tmp_path / host.name / 'devices' / 'pci' / nic / 'address'
            address.parent.mkdir(parents=True, exist_ok=True)
            address.write_text('00:00:00:00:00:00')
        see = f'mount --bind {tmp_path / host.name}/devices /sys/devices; exec "$0"'
        command = [*host.command(), 'unshare', '--mount', 'sh', '-ec', see]
        return call_hook(str(FOLDER), xml, {'vmfex': profile}, command=command, vdsm=host.vdsm)[0]

    return run


def test_vm_that_it_started_goes_on(fabric, alpha, beta, vmfex_dev):
    vm = VM(profiles=(), own=('Profile1', 'Profile2'))
    xml = vm.xml.replace(PORT, '')  # which it leaves in, and libvirt refuses
    for mac in vm.profiles:
        nic = re.search(f'(?s)<interface((?!<interface).)*{mac}.*?</interface>', xml).group()
        moved = vmfex_dev(alpha, nic, vm.profiles[mac])
        xml = xml.replace(nic, moved.partition('?>')[2])
    alpha.conn.defineXML(xml).create()
    mac, other = vm.profiles
    # Here the packages are exchanged.
    if libvirt.getVersion() < 10008000:
        # That hook leaves the MTU in the NIC, and these libvirts can't update such a one, whoever asks.
        with pytest.raises(libvirt.libvirtError, match='setting MTU on interface type direct'):
            vm.update(alpha, engine_nic_xml(mac, link='down', extra=FILTER), 'Profile1')
    else:
        for link in 'down', 'up', 'down':
            vm.update(alpha, engine_nic_xml(mac, link=link, extra=FILTER), 'Profile1')
            assert vm.link(alpha, mac) == link
    before = vm.link(alpha, mac)
    vm.plug(alpha, PLUGGED, 'Plugged', extra=UNFIT)
    assert list(alpha.pool_nics().values()) == [1, 1, 1, 0, 0, 0, 0, 0, 0]
    vm.migrate(alpha, beta)
    assert (vm.link(beta, mac), vm.link(beta, other)) == (before, 'up')
    assert vm.on(beta).state()[0] == libvirt.VIR_DOMAIN_RUNNING


def test_vm_that_this_hook_started_migrates_to_a_host_with_the_other_and_back(alpha, beta, vmfex_dev):
    vm = VM(profiles=(), own=('Profile1', 'Profile2'))
    vm.start(alpha)
    vmfex_dev(beta, engine_nic_xml(vm.macs[0]), 'Profile1')  # at the destination it prepares the pool alike
    assert beta.pool_nics()
    vm.migrate(alpha, beta, hook=False)
    assert len(vm.vic_nics(beta)) == 2
    vm.migrate(beta, alpha)
    assert len(vm.vic_nics(alpha)) == 2
