# SPDX-License-Identifier: GPL-2.0-or-later
"""The NICs in a domain's XML: which ones move to direct-pool, and how."""

from xml.dom import minidom

from vmfex.custom_property import check_port_profile
from vmfex.elements import attribute, content, find
from vmfex.failure import Failure

POOL = 'direct-pool'
OVIRT = 'http://ovirt.org/vm/1.0'
# What libvirt refuses on a NIC of a passthrough network, at once or (mtu, coalesce) at a link switch.
UNFIT = ('virtualport', 'filterref', 'port', 'mtu', 'vlan', 'coalesce', 'backend')


def find_nics(root):
    """Return a list of a domain's interface elements or, if root is one itself, of just that."""
    return [root] if root.tagName == 'interface' else find(root, 'devices', 'interface')


def mac_of(nic):
    return attribute(nic, 'mac', 'address').lower()


def is_on_pool(nic):
    # Of type network or, in a running domain's XML, direct.
    return attribute(nic, 'source', 'network') == POOL


def profile_of(nic):
    return attribute(nic, 'virtualport', 'parameters', 'profileid')


def find_on_pool(root):
    """Return those of a domain's interface elements that are on direct-pool."""
    return [nic for nic in find_nics(root) if is_on_pool(nic)]


def move_all(root, profiles):
    """
    Move NICs to direct-pool: those in profiles, a dict of MAC address to port profile as parse_dictionary
    returns it, and those whose vNIC profile has a port profile, by the domain's metadata. Returns whether
    any moved, and lines for the log. Raises Failure if one of them can't move.
    """
    nics = find_nics(root)
    vnic_profiles, mirrored = read_metadata(root)
    macs, moved = {mac_of(nic) for nic in nics}, False
    log = [f"no NIC of this VM has MAC address {mac}" for mac in profiles if mac not in macs]
    for nic in nics:
        mac = mac_of(nic)
        vnic_profile = vnic_profiles.get(mac)
        profile = profiles.get(mac, vnic_profile)
        # The transient NIC of a failover pair has the MAC address of the one that moves.
        if not mac or not profile or attribute(nic, 'teaming', 'type') == 'transient':
            continue
        check_movable(nic, mirrored)
        if mac not in profiles:
            check_port_profile(profile, f"of the vNIC profile of NIC {mac}")
        elif vnic_profile:
            log.append(f"NIC {mac} has a port profile by its vNIC profile; {profile}, the VM's, counts")
        if is_on_pool(nic) and profile_of(nic) == profile:
            log.append(f"NIC {mac} is on port profile {profile} already")
        else:
            moved = True
            log.append(move(nic, profile))
    return moved, log


def read_metadata(root):
    """
    Return what a domain's metadata says of its NICs' vNIC profiles: a dict of MAC address to the value of
    vmfex, not yet checked, and the set of MAC addresses with port mirroring.
    """
    vnic_profiles, mirrored = {}, set()
    for metadata in find(root, 'metadata'):
        for device in find(metadata, 'vm', 'device', namespace=OVIRT):
            mac = device.getAttribute('mac_address').lower()
            for element in find(device, 'custom', 'vmfex', namespace=OVIRT):
                vnic_profiles[mac] = content(element)
            if find(device, 'portMirroring', 'network', namespace=OVIRT):
                mirrored.add(mac)
    return vnic_profiles, mirrored


def check_movable(nic, mirrored):
    """Raise Failure if a NIC can't move; mirrored are the MAC addresses with port mirroring."""
    mac, type_ = mac_of(nic), nic.getAttribute('type')
    if type_ != 'bridge' and not is_on_pool(nic):
        cure = "remove it from the custom property vmfex, or change its vNIC profile"
        raise Failure(f"NIC {mac} is of type {type_!r}, only a bridge NIC can move to VM-FEX: {cure}")
    if mac in mirrored:
        harm = "which would send its bridge's traffic to VM-FEX"
        cure = "remove port mirroring from its vNIC profile, or the NIC from the custom property vmfex"
        raise Failure(f"NIC {mac} has port mirroring, {harm}: {cure}")


def move(nic, profile):
    """Put an interface on direct-pool with that port profile, a checked one. Returns a line for the log."""
    place = attribute(nic, 'source', 'bridge') or f"port profile {profile_of(nic) or 'none'}"
    unfit = [child for name in UNFIT for child in find(nic, name)]
    old = find(nic, 'source')
    nic.setAttribute('type', 'network')
    # Otherwise a macvtap passes no multicast to the guest but that of the host's own groups.
    nic.setAttribute('trustGuestRxFilters', 'yes')
    virtualport = f'<virtualport type="802.1Qbh"><parameters profileid="{profile}"/></virtualport>'
    for new in f'<source network="{POOL}"/>', virtualport:
        nic.insertBefore(minidom.parseString(new).documentElement, old[0] if old else None)
    for child in old + unfit:
        nic.removeChild(child)
    removed = '; removed: ' + ', '.join(child.tagName for child in unfit) if unfit else ''
    return f"NIC {mac_of(nic)} moved from {place} to port profile {profile}{removed}"


def set_link(running, asked, libvirt_version):
    """Make a running interface element the update to the asked one's link. Returns a line for the log."""
    for link in find(running, 'link'):
        running.removeChild(link)
    for link in find(asked, 'link'):
        running.appendChild(link)
    # Of type direct, these would take it off the pool; older ones want the NIC as it runs.
    if libvirt_version >= 10008000:
        running.setAttribute('type', 'network')
        [source] = find(running, 'source')
        for name in set(source.attributes.keys()) - {'network'}:
            source.removeAttribute(name)
    link = attribute(running, 'link', 'state') or 'up'
    stays = f"it stays on port profile {profile_of(running)}, and other changes wait for the VM's next start"
    return f"NIC {mac_of(running)} has link {link}; {stays}"
