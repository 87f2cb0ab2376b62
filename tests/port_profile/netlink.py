# SPDX-License-Identifier: GPL-2.0-or-later
"""Netlink messages about links, as bytes."""

import struct
import uuid

RTM_NEWLINK, RTM_SETLINK = 16, 19
NETLINK_ROUTE, NETLINK_GENERIC = 0, 16
IFLA_IFNAME, IFLA_MTU, IFLA_VFINFO_LIST, IFLA_VF_PORTS, IFLA_PORT_SELF = 3, 4, 22, 24, 25
IFLA_VF_INFO, IFLA_VF_MAC, IFLA_VF_VLAN, IFLA_VF_PORT = 1, 1, 2, 1
IFLA_PORT_VF, IFLA_PORT_PROFILE, IFLA_PORT_INSTANCE_UUID, IFLA_PORT_HOST_UUID, IFLA_PORT_REQUEST = (
    1,
    2,
    4,
    5,
    6,
)
PREASSOCIATE_RR, ASSOCIATE, DISASSOCIATE = 1, 2, 3
NESTED = 0x8000
SELF = 0xFFFFFFFF
VM = uuid.UUID('00000000-0000-4000-8000-000000000001').bytes


def attr(kind, *data):
    data = b''.join(data)
    return struct.pack('HH', 4 + len(data), kind) + data + b'\0' * (-len(data) % 4)


def message(*attrs, kind=RTM_SETLINK):
    """Return the message about link 7 with these attributes."""
    body = struct.pack('BxHiII', 0, 0, 7, 0, 0) + b''.join(attrs)
    return struct.pack('IHHII', 16 + len(body), kind, 5, 0, 0) + body


def vf_info(vf):
    return attr(
        IFLA_VF_INFO | NESTED,
        attr(IFLA_VF_MAC, struct.pack('I', vf), bytes.fromhex('001a4a160151').ljust(32, b'\0')),
    )


def vf_infos(*vfs):
    return attr(IFLA_VFINFO_LIST | NESTED, *map(vf_info, vfs))


def port(kind, profile, vf=None, request=ASSOCIATE):
    """Return an IFLA_PORT_SELF or IFLA_VF_PORT as libvirt makes it."""
    return attr(
        kind | NESTED,
        attr(IFLA_PORT_PROFILE, profile) if profile is not None else b'',
        attr(IFLA_PORT_INSTANCE_UUID, VM),
        attr(IFLA_PORT_HOST_UUID, VM[::-1]),
        attr(IFLA_PORT_VF, struct.pack('I', vf)) if vf is not None else b'',
        attr(IFLA_PORT_REQUEST, bytes([request])),
    )


def vf_ports(*ports):
    return attr(IFLA_VF_PORTS | NESTED, *ports)


def for_vnic(profile, vfs=(SELF,), request=ASSOCIATE):
    """Return libvirt's request for a dynamic vNIC."""
    return message(vf_infos(*vfs) if vfs else b'', port(IFLA_PORT_SELF, profile, request=request))


def for_vfs(profile, number=1):
    """Return a request for the VFs 0, 1, ... of a PF: libvirt's is for one."""
    return message(
        vf_infos(*range(number)), vf_ports(*(port(IFLA_VF_PORT, profile, vf) for vf in range(number)))
    )


def attrs_in(data):
    """Return the attributes in these bytes, a list of (type, data)."""
    found = []
    while data:
        size, kind = struct.unpack_from('HH', data)
        assert 4 <= size <= len(data)
        found.append((kind & ~NESTED, data[4:size]))
        data = data[size + -size % 4 :]
    return found


def ports_in(msg):
    """Return the ports that the message is for, which has to be whole: each a dict of type to data."""
    assert struct.unpack_from('I', msg)[0] == len(msg)
    attrs = attrs_in(msg[32:])
    ports = [data for kind, data in attrs if kind == IFLA_PORT_SELF] or [
        data
        for kind, nest in attrs
        if kind == IFLA_VF_PORTS
        for kind_in, data in attrs_in(nest)
        if kind_in == IFLA_VF_PORT
    ]
    return [dict(attrs_in(port)) for port in ports]
