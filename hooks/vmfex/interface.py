# SPDX-License-Identifier: GPL-2.0-or-later
"""An interface of a domain, which is a VM's NIC: what it is, and how it moves to direct-pool."""

from xml.dom import minidom

from vmfex.custom_property import Port
from vmfex.elements import attribute, find

POOL = 'direct-pool'
# What libvirt refuses on a NIC of a passthrough network, at once or (mtu, coalesce) at a link switch.
UNFIT = ('virtualport', 'filterref', 'port', 'mtu', 'vlan', 'coalesce', 'backend')


def value(*path):
    """Return a property of Interface for the attribute with that path below the element, '' if absent."""
    return property(lambda interface: attribute(interface.element, *path))


class Interface:
    """An interface element of a domain's XML, or the one of which such XML consists."""

    type = value('type')
    bridge = value('source', 'bridge')
    network = value('source', 'network')
    nic = value('source', 'dev')  # the host's, while the VM runs
    macvtap = value('target', 'dev')  # on that, while the VM runs on direct-pool
    profile = value('virtualport', 'parameters', 'profileid')
    link = value('link', 'state')
    teaming = value('teaming', 'type')
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

    def set_link(self, asked, libvirt_version):
        """Make it, one that runs, the update to another Interface's link. Returns a line for the log."""
        for link in find(self.element, 'link'):
            self.element.removeChild(link)
        for link in find(asked.element, 'link'):
            self.element.appendChild(link)
        # Of type direct, these would take it off the pool; older ones want the NIC as it runs.
        if libvirt_version >= 10008000:
            self.element.setAttribute('type', 'network')
            [source] = find(self.element, 'source')
            for name in set(source.attributes.keys()) - {'network'}:
                source.removeAttribute(name)
        stays = f"it stays on port profile {self.profile}, and other changes wait for the VM's next start"
        return f"NIC {self.mac} has link {self.link or 'up'}; {stays}"
