# SPDX-License-Identifier: GPL-2.0-or-later
"""What the library for libvirtd makes of libvirt's port profile requests, and of other messages."""

import os
import random
import struct
import subprocess

import pytest

from tests.hook import output
from tests.lab.fabric import compile_port_profile

NETLINK_ROUTE, NETLINK_GENERIC, RTM_SETLINK = 0, 16, 19
NESTED = 0x8000
IFLA_VFINFO_LIST, IFLA_VF_PORTS, IFLA_PORT_SELF = 22 | NESTED, 24 | NESTED, 25 | NESTED
IFLA_VF_INFO, IFLA_VF_MAC, IFLA_VF_PORT = 1 | NESTED, 1, 1 | NESTED
IFLA_PORT_VF, IFLA_PORT_PROFILE, IFLA_PORT_INSTANCE_UUID, IFLA_PORT_REQUEST = 1, 2, 4, 6
SELF = 0xFFFFFFFF


def align(data):
    return data + bytes(-len(data) % 4)


def attr(kind, *data):
    data = b''.join(data)
    return align(struct.pack('HH', 4 + len(data), kind) + data)


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


def self_port(*profile):
    return attr(IFLA_PORT_SELF, *profile, UUID, ASSOCIATE)


def for_vnic(profile):
    return message(self_port(attr(IFLA_PORT_PROFILE, profile)))


def for_vfs(number, *profile):
    """Return a request for so many VFs of a PF: libvirt's is for one."""
    vfs = (attr(IFLA_PORT_VF, struct.pack('I', vf)) for vf in range(number))
    ports = (attr(IFLA_VF_PORT, *profile, UUID, vf, ASSOCIATE) for vf in vfs)
    return message(vf_infos(*range(number)), attr(IFLA_VF_PORTS, *ports))


def with_bytes(number, profile):
    """Return a request for a dynamic vNIC with so many other bytes in it."""
    return message(attr(IFLA_PORT_SELF, profile, attr(99, bytes(number))))


REQUEST = message(vf_infos(SELF), self_port(SHORT))
ACCEPTED = message(self_port(PADDED))
FITS = 0xFFFC - 4 - len(PADDED) - 4  # what a nest has room for beside the padded port profile
CHANGED = {
    REQUEST: ACCEPTED,
    message(vf_infos(SELF), self_port(PADDED)): ACCEPTED,
    # All else stays, in order.
    message(NAME, vf_infos(0, SELF, 0x7FFFFFFE), UNKNOWN, self_port(SHORT), MTU): message(
        NAME, vf_infos(0, 0x7FFFFFFE), UNKNOWN, self_port(PADDED), MTU
    ),
    **{for_vfs(number, SHORT): for_vfs(number, PADDED) for number in (1, 3, 400)},
    with_bytes(FITS, SHORT): with_bytes(FITS, PADDED),
}
MAC_WITHOUT_A_VF = attr(IFLA_VFINFO_LIST, attr(IFLA_VF_INFO, attr(IFLA_VF_MAC), b'\xff\xff\xff\xff'))
LEFT_ALONE = [
    # Requests that kernels accept. A disassociation has no port profile.
    ACCEPTED,
    message(vf_infos(3), self_port(PADDED)),
    message(MAC_WITHOUT_A_VF, self_port(PADDED)),
    for_vnic(bytes(41)),
    message(self_port()),
    for_vfs(9, PADDED),
    for_vfs(9),
    # No requests.
    message(),
    message(vf_infos(SELF)),
    message(vf_infos(SELF), attr(IFLA_VF_PORTS)),
    message(SHORT),
    message(attr(IFLA_VF_PORTS, SHORT)),
    message(attr(IFLA_VF_PORTS, attr(99, SHORT))),
    message(attr(99, attr(IFLA_VF_PORT, SHORT))),
    *(message(REQUEST[32:], kind=kind) for kind in range(RTM_SETLINK + 2) if kind != RTM_SETLINK),
    # Too long once it is padded.
    with_bytes(FITS + 4, SHORT),
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


@pytest.fixture(scope='module', params=['address,undefined', 'thread'])
def send(request, tmp_path_factory):
    """Sends messages through the library by send.c, both with a sanitizer. Returns what libnl was given."""
    folder = str(tmp_path_factory.mktemp('send'))
    flags = f'-Wall -Wextra -Werror -O1 -g -fsanitize={request.param} -fno-sanitize-recover=all'
    library = compile_port_profile(folder, flags)
    libnl = output('pkg-config', '--cflags', '--libs', 'libnl-3.0')
    source, program = os.path.join(os.path.dirname(__file__), 'send.c'), folder + '/send'
    link = [library, *libnl.split(), '-lpthread', '-ldl']
    subprocess.run(['gcc', *flags.split(), '-o', program, source, *link], check=True)

    def send(*messages, protocol=NETLINK_ROUTE, peer=0, room=1 << 20):
        command = [program, str(protocol), str(peer), str(room)]
        asked = b''.join(map(align, messages))
        out = subprocess.run(command, input=asked, stdout=subprocess.PIPE, check=True).stdout
        sent, at = [], 0
        while at < len(out):
            [size] = struct.unpack_from('I', out, at)
            sent.append(out[at : at + size])
            at += size
        return sent

    return send


def differing(messages, others):
    """Return the messages that differ from the others: pytest may take minutes to show how lists differ."""
    assert len(messages) == len(others)
    return [message for message, other in zip(messages, others) if message != other]


def test_only_what_kernels_refuse_is_changed(send):
    assert not differing(CHANGED.values(), send(*CHANGED))


def test_port_profile_of_any_length_gets_40_bytes(send):
    profiles = [b'p' * size for size in range(40)]
    padded = [for_vnic(profile.ljust(40, b'\0')) for profile in profiles]
    assert not differing(padded, send(*map(for_vnic, profiles)))


def test_other_messages_are_left_alone(send):
    assert not differing(LEFT_ALONE, send(*LEFT_ALONE))


def test_messages_to_others_are_left_alone(send):
    for there in {'peer': 4242}, {'protocol': NETLINK_GENERIC}:  # lldpad, for one
        assert send(REQUEST, **there) == [REQUEST]


def test_damaged_messages_are_left_alone_or_right_at_once(send):
    damaged, dice = [], random.Random(1)
    for request in message(vf_infos(0, SELF), self_port(SHORT)), for_vfs(3, SHORT):
        for _ in range(3000):
            broken = bytearray(request)
            for _ in range(dice.choice((1, 1, 2, 5))):
                values = 0, 1, 2, 3, 4, 5, 22, 25, 39, 40, 127, 128, 255
                broken[dice.randrange(16, len(broken))] = dice.choice(values)
            damaged.append(bytes(broken))
    sent = send(*damaged)
    assert 1000 < len(differing(damaged, sent)) < len(damaged)
    assert not differing(sent, send(*sent))


def test_without_memory_the_message_is_sent_as_it_is(send):
    for request in REQUEST, for_vfs(3, SHORT):
        right = CHANGED[request]
        count = len(right) // 4
        assert not differing([request] * (count - 1) + [right], send(*[request] * count, room=4))
