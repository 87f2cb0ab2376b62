# SPDX-License-Identifier: GPL-2.0-or-later
"""An interface of a domain, which is a VM's NIC: what it is, and how it moves to direct-pool."""

from xml.dom import minidom

from vmfex.custom_property import Port
from vmfex.elements import attribute, find

POOL = 'direct-pool'
# What libvirt refuses on a NIC of a passthrough network, at once or (mtu, coalesce) at a link switch.
UNFIT = ('virtualport', 'filterref', 'port', 'mtu', 'vlan', 'coalesce', 'backend')


def attribute_at(*path):
    """Return a property of Interface: the attribute at that path below its element, '' if absent."""
    return property(lambda interface: attribute(interface.element, *path))


class Interface:
    """An interface element of a domain's XML, or the one of which such XML consists."""

    type = attribute_at('type')
    bridge = attribute_at('source', 'bridge')
    network = attribute_at('source', 'network')
    alias = attribute_at('alias', 'name')
    host_nic = attribute_at('source', 'dev')  # while the VM runs on direct-pool
    macvtap = attribute_at('target', 'dev')  # on that
    profile = attribute_at('virtualport', 'parameters', 'profileid')
    link = attribute_at('link', 'state')
    teaming = attribute_at('teaming', 'type')
    port = property(lambda interface: Port(interface.profile))
    mac = property(lambda interface: attribute(interface.element, 'mac', 'address').lower())
    # Of type network or, in a running domain's XML, direct.
    on_pool = property(lambda interface: interface.network == POOL)

    def __init__(self, element):
        self.element = element

    def move(self, port):
        """Put it on direct-pool as that Port. Returns a line for the log."""
        place = self.bridge or f"port profile {self.profile or 'none'}"
        unfit = [child for name in UNFIT for child in find(self.element, name)]
        old = find(self.element, 'source')
        self.element.setAttribute('type', 'network')
        # Otherwise a macvtap passes no multicast to the guest but that of the host's own groups.
        self.element.setAttribute('trustGuestRxFilters', 'yes')
        virtualport = f'<virtualport type="802.1Qbh"><parameters profileid="{port.profile}"/></virtualport>'
        for new in f'<source network="{POOL}"/>', virtualport:
            self.element.insertBefore(minidom.parseString(new).documentElement, old[0] if old else None)
        for child in old + unfit:
            self.element.removeChild(child)
        removed = '; removed: ' + ', '.join(child.tagName for child in unfit) if unfit else ''
        return f"NIC {self.mac} moved from {place} to port profile {port.profile}{removed}"

    def make_link_update(self, asked, libvirt_version):
        """Turn it, as it runs, into an update of its link alone, as asked. Returns a line for the log."""
        for link in find(self.element, 'link'):
            self.element.removeChild(link)
        for link in find(asked.element, 'link'):
            self.element.appendChild(link)
        # libvirt 10.8 and later would take it off the network if its type stayed direct. Before, only the
        # interface as it runs is accepted.
        if libvirt_version >= 10008000:
            self.element.setAttribute('type', 'network')
            [source] = find(self.element, 'source')
            for name in set(source.attributes.keys()) - {'network'}:
                source.removeAttribute(name)
        stays = f"it stays on port profile {self.profile}, and other changes wait for the VM's next start"
        return f"NIC {self.mac} has link {self.link or 'up'}; {stays}"
