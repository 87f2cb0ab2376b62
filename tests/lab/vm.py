# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab's VMs, in the form that the engine sends, and what VDSM does with them."""

import os
import uuid

import libvirt

HERE = os.path.dirname(os.path.abspath(__file__))
# What the engine gives a NIC, less what this machine can't start on the bridge NICs: vhost, bandwidth
# and nwfilter's ebtables. NICs in the dictionary have their filterref: the hook takes it out.
NIC = """\
<interface type="bridge">
      <model type="virtio"/>
      <link state="{link}"/>
      <source bridge="{bridge}"/>
      <alias name="ua-{alias}"/>
      <mac address="{mac}"/>
      <mtu size="1500"/>
      {extra}
      <tune>
        <sndbuf>0</sndbuf>
      </tune>
    </interface>
"""
FILTER = '<filterref filter="vdsm-no-mac-spoofing"/>'
PORT = '<port isolated="yes"/>'


def nic_xml(mac, bridge='ovirtmgmt', link='up', extra=''):
    """Return a NIC in the engine's form, with an alias that follows from its MAC."""
    alias = uuid.uuid5(uuid.NAMESPACE_OID, mac)
    return NIC.format(mac=mac, bridge=bridge, link=link, extra=extra, alias=alias)


class VM:
    """
    A VM with four NICs, of which the first ones are in the dictionary: one for each of profiles.

    No two numbers (0 to 255) of a lab may be the same. The VM has nothing to boot unless boot says so: a
    kernel, as libvirt's XML for it, and the memory it needs in MiB.
    """

    def __init__(self, number=0, profiles=('Profile1', 'Profile2'), links=('up', 'up'), boot='',
                 memory=32):
        self.name = 'vm{}'.format(number)
        self.uuid = str(uuid.uuid5(uuid.NAMESPACE_OID, self.name))
        self.macs = ['00:1a:4a:16:{:02x}:{:02x}'.format(number, i) for i in range(0x51, 0x55)]
        self.profiles = dict(zip(self.macs, profiles))
        self.vmfex = str(self.profiles)
        nics = [nic_xml(mac, link=link, extra=FILTER + PORT if mac in self.profiles else '')
                for mac, link in zip(self.macs, [*links, 'up', 'up'])]
        with open(os.path.join(HERE, 'vm.xml')) as f:
            self.xml = f.read().format(name=self.name, uuid=self.uuid, boot=boot, memory=memory,
                                       nics='    '.join(nics))

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

    def migrate(self, source, destination):
        domain = self.on(source)
        _, log = destination.hook('before_vm_migrate_destination', domain.XMLDesc(), self.vmfex,
                                  self.uuid)
        sockets = destination.path('/run/migration')
        domain.migrate3(destination.conn, {libvirt.VIR_MIGRATE_PARAM_URI: 'unix://' + sockets},
                        libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_PERSIST_DEST
                        | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE)
        return log

    def stop(self, host):
        domain = self.on(host)
        domain.destroy()
        domain.undefine()

    def on(self, host):
        """Return the VM's virDomain on a host."""
        return host.conn.lookupByUUIDString(self.uuid)

    def runs_on(self, host):
        return self.uuid in [domain.UUIDString() for domain in host.conn.listAllDomains(
            libvirt.VIR_CONNECT_LIST_DOMAINS_RUNNING)]
