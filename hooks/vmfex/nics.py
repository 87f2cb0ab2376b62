# SPDX-License-Identifier: GPL-2.0-or-later
"""The NICs in a domain's XML: which ones move to direct-pool, and how."""

from xml.dom import minidom

from vmfex.custom_property import check_port_profile
from vmfex.elements import attribute, find
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


def count_on_pool(root):
    """Return how many NICs of direct-pool a domain takes."""
    return sum(is_on_pool(nic) for nic in find_nics(root))


def move_all(root, profiles):
    """
    Move NICs to direct-pool: those in profiles, a dict of MAC address to port profile as parse_dictionary
    returns it, and those whose vNIC profile has a port profile, by the domain's metadata.

    Returns whether any moved, and lines for the log. Raises Failure if one of them can't move.
    """
    nics = find_nics(root)
    own_profiles, mirrored = read_metadata(root)
    missing = set(profiles).difference(map(mac_of, nics))
    moved, log = False, [f"no NIC of this VM has MAC address {mac}" for mac in profiles if mac in missing]
    for nic in nics:
        mac = mac_of(nic)
        own = own_profiles.get(mac)
        profile = profiles.get(mac, own)
        # The transient NIC of a failover pair has the MAC address of the one that moves.
        if not profile or attribute(nic, 'teaming', 'type') == 'transient':
            continue
        check_movable(nic, mirrored)
        if own:
            check_port_profile(own, f"of the vNIC profile of NIC {mac}")
        if own and mac in profiles:
            log.append(f"NIC {mac} has port profile {own} by its vNIC profile; {profile}, the VM's, counts")
        if is_on_pool(nic) and profile_of(nic) == profile:
            log.append(f"NIC {mac} is on port profile {profile} already")
        else:
            moved = True
            log.append(move(nic, profile))
    return moved, log


def read_metadata(root):
    """
    Return what a domain's metadata says of its NICs' vNIC profiles: a dict of MAC address to port
    profile, not yet checked, and the set of MAC addresses with port mirroring.
    """
    own_profiles, mirrored = {}, set()
    for metadata in find(root, 'metadata'):
        for device in find(metadata, 'vm', 'device', namespace=OVIRT):
            mac = device.getAttribute('mac_address').lower()
            for element in find(device, 'custom', 'vmfex', namespace=OVIRT):
                own_profiles[mac] = ''.join(text.data for text in element.childNodes)
            if find(device, 'portMirroring', 'network', namespace=OVIRT):
                mirrored.add(mac)
    return own_profiles, mirrored


def check_movable(nic, mirrored):
    """Raise Failure if a NIC can't move; mirrored are the MAC addresses with port mirroring."""
    mac, type_ = mac_of(nic), nic.getAttribute('type')
    if type_ != 'bridge' and not is_on_pool(nic):
        cure = "remove it from the custom property vmfex, or change its vNIC profile"
        raise Failure(f"NIC {mac} is of type {type_!r}, only a bridge NIC can move to VM-FEX: {cure}")
    if mac in mirrored:
        cure = "remove port mirroring from its vNIC profile, or the NIC from the custom property vmfex"
        raise Failure(
            f"NIC {mac} has port mirroring, which would send its bridge's traffic to VM-FEX: {cure}"
        )


def move(nic, profile):
    """Put an interface on direct-pool with that port profile, a checked one. Returns a line for the log."""
    place = attribute(nic, 'source', 'bridge') or f"port profile {profile_of(nic) or 'none'}"
    unfit = [child for name in UNFIT for child in find(nic, name)]
    old = find(nic, 'source')
    nic.setAttribute('type', 'network')
    virtualport = f'<virtualport type="802.1Qbh"><parameters profileid="{profile}"/></virtualport>'
    for new in f'<source network="{POOL}"/>', virtualport:
        nic.insertBefore(minidom.parseString(new).documentElement, old[0] if old else None)
    for child in old + unfit:
        nic.removeChild(child)
    removed = '; removed: ' + ', '.join(child.tagName for child in unfit) if unfit else ''
    return f"NIC {mac_of(nic)} moved from {place} to port profile {profile}{removed}"


def running_nic(domain_xml, mac):
    """Return the interface element of a running domain's NIC on direct-pool, None if it is not there."""
    nics = find_nics(minidom.parseString(domain_xml).documentElement)
    return next((nic for nic in nics if mac_of(nic) == mac and is_on_pool(nic)), None)


def set_link(running, asked, libvirt_version):
    """
    Turn the running interface element into the update that gives it the link state of the asked one.

    libvirt 10.8 and later want type network, and a source without run-time attributes; an update of type
    direct takes the NIC off the pool. Older ones want the NIC as it runs. Returns a line for the log.
    """
    for link in find(running, 'link'):
        running.removeChild(link)
    for link in find(asked, 'link'):
        running.appendChild(link)
    if libvirt_version >= 10008000:
        running.setAttribute('type', 'network')
        [source] = find(running, 'source')
        for name in set(source.attributes.keys()) - {'network'}:
            source.removeAttribute(name)
    link = attribute(running, 'link', 'state') or 'up'
    stays = f"it stays on port profile {profile_of(running)}, and other changes wait for the VM's next start"
    return f"NIC {mac_of(running)} has link {link}; {stays}"
