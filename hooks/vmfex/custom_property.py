# SPDX-License-Identifier: GPL-2.0-or-later
"""The custom property vmfex: a VM's dictionary, or the port profile of a vNIC profile."""

import re

from vmfex.failure import Failure

SPACE = ' \t\n\r\f\v'
# The strings are taken as they stand, without escapes: nothing is evaluated.
PAIR = re.compile(r'''('[^']*'|"[^"]*")\s*:\s*('[^']*'|"[^"]*")\s*(?:,\s*|$)''', re.ASCII)
MAC = re.compile('[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}')
# Security: libvirt writes a profileid into its files without escaping it, so that other characters
# could destroy the VM's definition, or inject XML into it. 39 bytes are libvirt's limit for 802.1Qbh.
PORT_PROFILE = re.compile('[A-Za-z0-9_:.-]([A-Za-z0-9_:. -]{0,37}[A-Za-z0-9_:.-])?')


def parse_dictionary(value):
    """Return the VM's property as a dict of lower-case MAC address to port profile. Raises Failure."""
    value = value.strip(SPACE)
    if not value:
        return {}
    if value[0] != '{' or value[-1] != '}':
        form = "{'MAC': 'port profile'}"
        raise Failure(f"custom property vmfex is not a dictionary: {value[:60]!r}; write {form}")
    pairs, profiles = value[1:-1].strip(SPACE), {}
    while pairs:
        pair = PAIR.match(pairs)
        if not pair:
            form = "'MAC address': 'port profile', each in quotes, with commas between such pairs"
            raise Failure(f"custom property vmfex is malformed at {pairs[:60]!r}: write {form}")
        mac, profile = (text[1:-1] for text in pair.groups())
        if not MAC.fullmatch(mac):
            form = "six octets of two hexadecimal digits, such as 00:1a:4a:16:01:51"
            raise Failure(f"custom property vmfex: {mac[:60]!r} is not a MAC address: write {form}")
        mac = mac.lower()
        if mac in profiles:
            raise Failure(f"custom property vmfex has MAC address {mac} twice: keep one")
        profiles[mac] = check_port_profile(profile, f"of the VM, for {mac}")
        pairs = pairs[pair.end() :]
    return profiles


def parse_either(value, macs):
    """Return the same also for the property of a vNIC profile, for all its NICs: those with these MACs."""
    if value.strip(SPACE)[:1] in ('', '{'):
        return parse_dictionary(value)
    return {mac: check_port_profile(value, f"of the vNIC profile of NIC {mac}") for mac in macs}


def check_port_profile(name, where):
    """Return a port profile. Raises Failure if that name is not one; where says where it stands."""
    if not PORT_PROFILE.fullmatch(name):
        rule = "use 1 to 39 letters, digits, - _ : . and spaces, but no space at either end"
        raise Failure(f"custom property vmfex {where}: {name[:60]!r} is not a port profile: {rule}")
    return name
