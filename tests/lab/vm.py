# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab's VMs, in the form that the engine sends, and what VDSM does with them."""

import re
import uuid
from pathlib import Path
from xml.etree import ElementTree

import libvirt
import libvirt_qemu

from tests.lab.wait import wait_for
from tests.xml_builders import HAS_RUN, OWN, UNFIT, alias_of, engine_nic_xml, metadata_of


class VM:
    """
    A VM with NICs, of which the first ones are in the dictionary: one for each of profiles.

    own are the first NICs' own port profiles, from their vNIC profiles. The VM's attribute profiles has
    both, and dictionary the first, by MAC. No two numbers (0 to 255) of a lab may be the same. The VM has
    nothing to boot.
    """

    def __init__(self, number=0, profiles=('Profile1', 'Profile2'), links=('up', 'up'), own=(), nics=4):
        self.name = f'vm{number}'
        self.uuid = str(uuid.uuid5(uuid.NAMESPACE_OID, self.name))
        self.macs = [f'00:1a:4a:16:{number:02x}:{i:02x}' for i in range(0x51, 0x51 + nics)]
        self.dictionary, own = dict(zip(self.macs, profiles)), dict(zip(self.macs, own))
        self.vmfex = str(self.dictionary) if profiles else None
        self.profiles = {**own, **self.dictionary}
        # A bridge NIC can't start here with the filter and the isolated port: only NICs that move have them.
        nics = [
            engine_nic_xml(mac, link=link, extra=UNFIT if mac in self.profiles else '')
            for mac, link in zip(self.macs, [*links, *['up'] * nics])
        ]
        devices = [metadata_of(mac, OWN.format(own[mac]) if mac in own else '') for mac in self.macs]
        names = dict(name=self.name, uuid=self.uuid, nics='    '.join(nics), devices=''.join(devices))
        self.xml = Path(__file__).with_name('vm.xml').read_text().format(**names)

    def add_profile(self, mac, profile):
        """Put one more MAC into the VM's dictionary."""
        self.profiles[mac] = self.dictionary[mac] = profile
        self.vmfex = str(self.dictionary)

    # What VDSM does with a VM. Each raises HookError or libvirtError, and returns the hook's log.

    def start(self, host):
        xml, log = host.hook('before_vm_start', self.xml, self.vmfex, self.uuid)
        domain = host.conn.defineXML(xml)
        try:
            domain.create()
        except libvirt.libvirtError:
            domain.undefine()
            raise
        return log

    def migrate(self, source, destination, hook=True):
        domain = self.on(source)
        log, point = '', 'before_vm_migrate_destination'
        if hook:
            _, log = destination.hook(point, domain.XMLDesc(), self.vmfex, self.uuid)
        flags = libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_PERSIST_DEST
        parameters = {libvirt.VIR_MIGRATE_PARAM_URI: destination.migration_uri}
        domain.migrate3(destination.conn, parameters, flags | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE)
        return log

    def suspend(self, host):
        self.suspended = self.on(host).XMLDesc().replace('<ovirt-vm:device', HAS_RUN + '<ovirt-vm:device', 1)
        self.on(host).managedSave()

    def resume(self, host):
        domain = self.on(host)
        _, log = host.hook('before_vm_start', self.suspended, self.vmfex, self.uuid)
        saved = domain.managedSaveGetXMLDesc()
        _, more = host.hook('before_vm_dehibernate', saved, self.vmfex, self.uuid)
        domain.create()
        return log + more

    # As VDSM, these two pass the VM's property or, if it has none, that of the NIC's vNIC profile.

    def plug(self, host, mac, own=None, **nic):
        xml, log = host.hook('before_nic_hotplug', engine_nic_xml(mac, **nic), self.vmfex or own, self.uuid)
        self.on(host).attachDeviceFlags(xml, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        return log

    def update(self, host, xml, own=None):
        xml, log = host.hook('before_update_device', xml, self.vmfex or own, self.uuid)
        self.on(host).updateDeviceFlags(xml, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        return log

    def unplug(self, host, mac):
        self.on(host).detachDeviceFlags(engine_nic_xml(mac), libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def stop(self, host):
        domain = self.on(host)
        domain.destroy()
        domain.undefine()

    def on(self, host):
        """Return the VM's virDomain on a host."""
        return host.conn.lookupByUUIDString(self.uuid)

    def runs_on(self, host):
        running = host.conn.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_RUNNING)
        return self.uuid in [domain.UUIDString() for domain in running]

    def nics(self, host, flags=0):
        """Return the VM's interface elements on a host, by MAC."""
        root = ElementTree.fromstring(self.on(host).XMLDesc(flags))
        return {nic.find('mac').get('address'): nic for nic in root.iter('interface')}

    def definition(self, host):
        """Return the VM's interfaces as they are to be at its next start or on the next host, by MAC."""
        flags = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_MIGRATABLE
        return {mac: ElementTree.tostring(nic) for mac, nic in self.nics(host, flags).items()}

    def vic_nics(self, host):
        """Return the names of the host's NICs that the VM is on, by MAC."""
        nics = self.nics(host).items()
        return {mac: nic.find('source').get('dev') for mac, nic in nics if nic.get('type') == 'direct'}

    def ports(self, names):
        """Return what Fabric.ports says when the VM's NICs come onto those of a host: their names, by MAC."""
        return [(names[mac], profile, self.uuid) for mac, profile in self.profiles.items()]

    def link(self, host, mac):
        """Return the link state, up or down, of a virtio NIC as the guest's device has it."""

        # A modern virtio NIC has its configuration at 0x2000 in BAR 4: the MAC, then the status, whose
        # lowest bit is VIRTIO_NET_S_LINK_UP (virtio 1.0, 5.1.4).
        def config():
            _, registers = self.pci_function(host, mac)
            memory = self.monitor(host, f'xp /8bx {registers + 0x2000:#x}')
            octets = [byte[2:] for byte in memory.partition(':')[2].split()]
            return octets if ':'.join(octets[:6]) == mac else None

        return 'up' if int(wait_for(config)[6], 16) & 1 else 'down'

    def pci_function(self, host, mac):
        """Return a virtio NIC's PCI bus and the address of its BAR 4, once the VM's firmware has set them."""

        def find():
            for function in re.split(r'\n(?=  Bus)', self.monitor(host, 'info pci')):
                found = re.search(r'(?s)Bus +(\d+),.*BAR4: .* at (0x[0-9a-f]+) ', function)
                if alias_of(mac) in function and found:
                    return int(found.group(1)), int(found.group(2), 16)

        return wait_for(find)

    def monitor(self, host, command):
        hmp = libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP
        return libvirt_qemu.qemuMonitorCommand(self.on(host), command, hmp)
