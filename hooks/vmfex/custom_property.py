# SPDX-License-Identifier: GPL-2.0-or-later
"""The custom property vmfex: a VM's dictionary, or the port profile of a vNIC profile."""

import collections
import re

from vmfex.failure import Failure

SPACE = ' \t\n\r\f\v'
# The strings are taken as they stand, without escapes: nothing is evaluated.
PAIR = re.compile(r'''('[^']*'|"[^"]*")\s*:\s*('[^']*'|"[^"]*")\s*(?:,\s*|$)''', re.ASCII)
MAC = re.compile('[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}')
# Security: libvirt writes a profileid into its files without escaping it, so that other characters
# could destroy the VM's definition, or inject XML into it. 39 bytes are libvirt's limit for 802.1Qbh.
PORT_PROFILE = re.compile('[A-Za-z0-9_:.-]([A-Za-z0-9_:. -]{0,37}[A-Za-z0-9_:.-])?')

# What a VM's NIC is asked to become: a port of the fabric with that port profile.
Port = collections.namedtuple('Port', 'profile')


def parse_dictionary(value):
    """Return the VM's property as a dict of lower-case MAC address to Port. Raises Failure."""
    value = value.strip(SPACE)
    if not value:
        return {}
    if value[0] != '{' or value[-1] != '}':
        cure = "write {'MAC': 'port profile'}"
        raise Failure("custom property vmfex is not a dictionary", cure, detail=repr(value[:60]))
    pairs, ports = value[1:-1].strip(SPACE), {}
    while pairs:
        pair = PAIR.match(pairs)
        if not pair:
            cure = "write 'MAC address': 'port profile', each in quotes, with commas between such pairs"
            raise Failure(f"custom property vmfex is malformed at {pairs[:60]!r}", cure)
        mac, profile = (text[1:-1] for text in pair.groups())
        if not MAC.fullmatch(mac):
            cure = "write six octets of two hexadecimal digits, such as 00:1a:4a:16:01:51"
            raise Failure(f"custom property vmfex: {mac[:60]!r} is not a MAC address", cure)
        mac = mac.lower()
        if mac in ports:
            raise Failure(f"custom property vmfex has MAC address {mac} twice", "keep one")
        ports[mac] = parse_port(profile, f"of the VM, for {mac}")
        pairs = pairs[pair.end() :]
    return ports


def parse_either(value, macs):
    """Return a dict of MAC address to Port: a dictionary's, or a vNIC profile's port profile for all macs."""
    if value.strip(SPACE)[:1] in ('', '{'):
        return parse_dictionary(value)
    return {mac: parse_vnic_profile(value, mac) for mac in macs}


def parse_vnic_profile(value, mac):
    """Return the Port by the property of the vNIC profile of the NIC with that MAC. Raises Failure."""
    return parse_port(value, f"of the vNIC profile of NIC {mac}")


def parse_port(profile, where):
    if not PORT_PROFILE.fullmatch(profile):
        cure = "use 1 to 39 letters, digits, - _ : . and spaces, but no space at either end"
        raise Failure(f"custom property vmfex {where}: {profile[:60]!r} is not a port profile", cure)
    return Port(profile)
