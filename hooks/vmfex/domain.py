# SPDX-License-Identifier: GPL-2.0-or-later
"""A domain: its interfaces, what its metadata says of them, and which of them move to direct-pool."""

from vmfex.custom_property import parse_vnic_profile
from vmfex.elements import content, find
from vmfex.failure import Failure
from vmfex.interface import Interface

OVIRT = 'http://ovirt.org/vm/1.0'


def find_interfaces(root):
    """Return a list of a domain's Interfaces or, if root is an interface element itself, of just that."""
    elements = [root] if root.tagName == 'interface' else find(root, 'devices', 'interface')
    return [Interface(element) for element in elements]


def find_on_pool(root):
    """Return those of a domain's Interfaces that are on direct-pool."""
    return [interface for interface in find_interfaces(root) if interface.on_pool]


def in_metadata(root, *path):
    """Return the elements at that path in what oVirt's metadata of a domain says of the VM."""
    return [e for metadata in find(root, 'metadata') for e in find(metadata, 'vm', *path, namespace=OVIRT)]


def has_run(root):
    """Return whether a domain's VM has run before: it is resumed, or its memory is restored."""
    return bool(in_metadata(root, 'startTime'))


def read_vnic_profile(root, interface):
    """Return an Interface's vNIC profile's vmfex, unchecked, '' if none; and if it has port mirroring."""
    devices = in_metadata(root, 'device')
    devices = [device for device in devices if device.getAttribute('mac_address').lower() == interface.mac]
    # The halves of a failover pair have the same MAC address, but each has its alias and vNIC profile.
    if interface.alias:
        devices = [device for device in devices if device.getAttribute('alias') in ('', interface.alias)]
    values = [e for device in devices for e in find(device, 'custom', 'vmfex', namespace=OVIRT)]
    mirrored = any(find(device, 'portMirroring', 'network', namespace=OVIRT) for device in devices)
    return ''.join(map(content, values)), mirrored


def move_interfaces(root, ports):
    """
    Move NICs to direct-pool: those in ports, a dict of MAC address to Port, and those whose vNIC profile has
    a port profile, by the domain's metadata. Returns whether any moved, and lines for the log. Raises
    Failure if one of them can't move.
    """
    interfaces, moved = find_interfaces(root), False
    macs = {interface.mac for interface in interfaces}
    log = [f"no NIC of this VM has MAC address {mac}" for mac in ports if mac not in macs]
    for interface in interfaces:
        mac = interface.mac
        value, mirrored = read_vnic_profile(root, interface)
        # The transient NIC of a failover pair has the MAC address of the one that moves.
        if not mac or interface.teaming == 'transient' or not (mac in ports or value):
            continue
        check_movable(interface, mirrored)
        port = ports.get(mac) or parse_vnic_profile(value, mac)
        if mac in ports and value:
            log.append(f"NIC {mac} has a port profile by its vNIC profile; {port.profile}, the VM's, counts")
        if interface.on_pool and interface.port == port:
            log.append(f"NIC {mac} is on port profile {port.profile} already")
        else:
            moved = True
            log.append(interface.move(port))
    return moved, log


def check_movable(interface, mirrored):
    """Raise Failure if an Interface can't move."""
    if interface.type != 'bridge' and not interface.on_pool:
        message = f"NIC {interface.mac} is of type {interface.type!r}, only a bridge NIC can move to VM-FEX"
        raise Failure(message, "remove it from the custom property vmfex, or change its vNIC profile")
    if mirrored:
        cure = "remove port mirroring from its vNIC profile, or the NIC from the custom property vmfex"
        harm = "which would send its bridge's traffic to VM-FEX"
        raise Failure(f"NIC {interface.mac} has port mirroring, {harm}", cure)
