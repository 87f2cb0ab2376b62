# SPDX-License-Identifier: GPL-2.0-or-later
"""What the library for libvirtd makes of libvirt's port profile requests, and of other messages."""

import random
import struct

NETLINK_ROUTE, NETLINK_GENERIC, RTM_SETLINK = 0, 16, 19
NESTED = 0x8000
IFLA_VFINFO_LIST, IFLA_VF_PORTS, IFLA_PORT_SELF = 22 | NESTED, 24 | NESTED, 25 | NESTED
IFLA_VF_INFO, IFLA_VF_MAC, IFLA_VF_PORT = 1 | NESTED, 1, 1 | NESTED
IFLA_PORT_VF, IFLA_PORT_PROFILE, IFLA_PORT_INSTANCE_UUID, IFLA_PORT_REQUEST = 1, 2, 4, 6
SELF = 0xFFFFFFFF


def attr(kind, *data):
    data = b''.join(data)
    return struct.pack('HH', 4 + len(data), kind) + data + bytes(-len(data) % 4)


def message(*attrs, kind=RTM_SETLINK):
    """Return the message about link 7 with these attributes."""
    body = struct.pack('BxHiII', 0, 0, 7, 0, 0) + b''.join(attrs)
    return struct.pack('IHHII', 16 + len(body), kind, 5, 0, 0) + body


SHORT = attr(IFLA_PORT_PROFILE, b'Profile1\0')
PADDED = attr(IFLA_PORT_PROFILE, b'Profile1'.ljust(40, b'\0'))
UUID = attr(IFLA_PORT_INSTANCE_UUID, bytes(range(16)))
ASSOCIATE = attr(IFLA_PORT_REQUEST, b'\2')
NAME, MTU, UNKNOWN = attr(3, b'eth3\0'), attr(4, struct.pack('I', 9000)), attr(99, b'?')


def vf_infos(*vfs):
    macs = (attr(IFLA_VF_MAC, struct.pack('I32s', vf, bytes.fromhex('001a4a160151'))) for vf in vfs)
    return attr(IFLA_VFINFO_LIST, *(attr(IFLA_VF_INFO, mac) for mac in macs))


def self_port(*attrs):
    return attr(IFLA_PORT_SELF, *attrs, UUID, ASSOCIATE)


def for_vnic(profile):
    return message(self_port(attr(IFLA_PORT_PROFILE, profile)))


def for_vfs(number, *profile):
    """Return a request for so many VFs of a PF: libvirt's is for one."""
    vfs = (attr(IFLA_PORT_VF, struct.pack('I', vf)) for vf in range(number))
    ports = (attr(IFLA_VF_PORT, *profile, UUID, vf, ASSOCIATE) for vf in vfs)
    return message(vf_infos(*range(number)), attr(IFLA_VF_PORTS, *ports))


REQUEST = message(vf_infos(SELF), self_port(SHORT))
ACCEPTED = message(self_port(PADDED))
BIG = attr(99, bytes(0xFFFC - 4 - len(self_port(PADDED))))  # fills a nest that has a padded port profile
CHANGED = {
    REQUEST: ACCEPTED,
    message(vf_infos(SELF), self_port(PADDED)): ACCEPTED,
    # All else stays, in order.
    message(NAME, vf_infos(0, SELF, 0x7FFFFFFE), UNKNOWN, self_port(SHORT), MTU): message(
        NAME, vf_infos(0, 0x7FFFFFFE), UNKNOWN, self_port(PADDED), MTU
    ),
    **{for_vnic(b'p' * size): for_vnic((b'p' * size).ljust(40, b'\0')) for size in range(40)},
    **{for_vfs(number, SHORT): for_vfs(number, PADDED) for number in (1, 3, 400)},
    message(self_port(SHORT, BIG)): message(self_port(PADDED, BIG)),
}
MAC_WITHOUT_A_VF = attr(IFLA_VFINFO_LIST, attr(IFLA_VF_INFO, attr(IFLA_VF_MAC), b'\xff\xff\xff\xff'))
LEFT_ALONE = [
    # Requests that kernels accept. A disassociation has no port profile.
    message(vf_infos(3), self_port(PADDED)),
    message(MAC_WITHOUT_A_VF, self_port(PADDED)),
    for_vnic(bytes(41)),
    message(self_port()),
    for_vfs(9),
    # No requests.
    message(),
    message(vf_infos(SELF)),
    message(SHORT),
    message(attr(IFLA_VF_PORTS, SHORT)),
    message(attr(IFLA_VF_PORTS, attr(99, SHORT))),
    message(attr(99, attr(IFLA_VF_PORT, SHORT))),
    *(message(REQUEST[32:], kind=kind) for kind in range(RTM_SETLINK + 2) if kind != RTM_SETLINK),
    # Too long once it is padded.
    message(self_port(SHORT, BIG, attr(99))),
    # Cut, with a header that knows it.
    *(struct.pack('I', size) + REQUEST[4:size] for size in range(16, len(REQUEST))),
    # An attribute that is too small, or that goes beyond its nest or the message.
    *(
        REQUEST[:at] + struct.pack('H', size) + REQUEST[at + 2 :]
        for at in map(REQUEST.index, (self_port(SHORT), SHORT, UUID))
        for size in (0, 1, 3, len(REQUEST), 0xFFFF)
    ),
    # Bytes behind the last attribute.
    message(attr(IFLA_PORT_SELF, SHORT, b'\0')),
]


def send(drive, *messages, protocol=NETLINK_ROUTE, peer=0, room=1 << 20):
    """Send messages through the library. Returns what libnl is given, in order."""
    aligned = b''.join(message + bytes(-len(message) % 4) for message in messages)
    out = drive('send', str(protocol), str(peer), str(room), messages=aligned)
    sent, at = [], 0
    while at < len(out):
        [size] = struct.unpack_from('I', out, at)
        sent.append(out[at : at + size])
        at += size
    assert len(sent) == len(messages)
    return sent


def differing(messages, others):
    """Return the messages that differ from the others: pytest may take minutes to show how lists differ."""
    return [message for message, other in zip(messages, others) if message != other]


def test_only_what_kernels_refuse_is_changed(drive):
    assert not differing(CHANGED.values(), send(drive, *CHANGED))
    assert not differing(LEFT_ALONE, send(drive, *LEFT_ALONE))


def test_messages_to_others_are_left_alone(drive):
    assert send(drive, REQUEST, peer=4242) == [REQUEST]  # lldpad, for one
    assert send(drive, REQUEST, protocol=NETLINK_GENERIC) == [REQUEST]


def test_damaged_messages_are_left_alone_or_right_at_once(drive):
    damaged, dice = [], random.Random(1)
    values = 0, 1, 2, 3, 4, 5, 22, 25, 39, 40, 127, 128, 255
    for request in [message(vf_infos(0, SELF), self_port(SHORT)), for_vfs(3, SHORT)] * 3000:
        broken = bytearray(request)
        for _ in range(dice.choice((1, 1, 2, 5))):
            broken[dice.randrange(16, len(broken))] = dice.choice(values)
        damaged.append(bytes(broken))
    sent = send(drive, *damaged)
    assert 1000 < len(differing(damaged, sent)) < len(damaged)
    assert not differing(sent, send(drive, *sent))


def test_without_memory_the_message_is_sent_as_it_is(drive):
    for request in REQUEST, for_vfs(3, SHORT):
        count = len(CHANGED[request]) // 4
        expected = [request] * (count - 1) + [CHANGED[request]]
        assert not differing(expected, send(drive, *[request] * count, room=4))
