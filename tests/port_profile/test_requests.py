# SPDX-License-Identifier: GPL-2.0-or-later
"""What the library for libvirtd makes of libvirt's port profile requests, and of other messages."""

import collections
import os
import random
import shlex
import struct
import subprocess

import pytest

from tests.lab.fabric import compile_port_profile
from tests.port_profile import netlink
from tests.port_profile.netlink import RTM_SETLINK, SELF, attr, for_vfs, for_vnic, message, port, vf_infos

PADDED = b'Profile1'.ljust(40, b'\0')
REQUEST, ACCEPTED = for_vnic(b'Profile1\0'), for_vnic(PADDED, vfs=())
VFS_REQUEST, VFS_ACCEPTED = for_vfs(b'Profile1\0', 30), for_vfs(PADDED, 30)

# message, own: what libnl was given, and the caller's own message, both as before libnl completed them
Sent = collections.namedtuple('Sent', 'message is_the_callers own numbers_are_the_same')


@pytest.fixture(scope='module', params=['plain', 'address,undefined', 'thread'])
def program(request, tmp_path_factory):
    """send.c with the library in front of libnl, both built with a sanitizer."""
    folder = str(tmp_path_factory.mktemp('send'))
    flags = ['-Wall', '-Wextra', '-Werror', '-O1', '-g']
    if request.param != 'plain':
        flags += ['-fsanitize=' + request.param, '-fno-sanitize-recover=all']
    library = compile_port_profile(folder, ' '.join(flags))
    libnl = subprocess.check_output(['pkg-config', '--cflags', '--libs', 'libnl-3.0'], text=True)
    source, program = os.path.join(os.path.dirname(__file__), 'send.c'), folder + '/send'
    link = [library, *shlex.split(libnl), '-lpthread', '-ldl']
    subprocess.run(['gcc', *flags, '-o', program, source, *link], check=True)
    return program


@pytest.fixture
def send(program):
    """Sends messages through the library. Returns a Sent for each."""

    def as_asked(completed):
        """Take away what libnl fills in."""
        size, kind, flags, _, _ = struct.unpack_from('IHHII', completed)
        return struct.pack('IHHII', size, kind, flags, 0, 0) + completed[16:size]

    def send(*messages, protocol=netlink.NETLINK_ROUTE, peer=0, most=1 << 20, threads=0):
        command = [program, *map(str, (protocol, peer, most, threads))]
        out = subprocess.run(command, input=b''.join(messages), stdout=subprocess.PIPE, check=True).stdout
        sent = []
        while out:
            [same], message = struct.unpack_from('I', out), out[4:]
            own = message[struct.unpack_from('I', message)[0] :]
            out = own[struct.unpack_from('I', own)[0] :]
            numbered = own[8:16] == message[8:16] and own[8:12] != bytes(4)
            sent.append(Sent(as_asked(message), bool(same), as_asked(own), numbered))
        return sent

    return send


def test_vf_minus_1_is_left_out_and_the_port_profile_gets_40_bytes(send):
    for request in netlink.ASSOCIATE, netlink.PREASSOCIATE_RR:
        [sent] = send(for_vnic(b'Profile1\0', request=request))
        assert sent.message == for_vnic(PADDED, vfs=(), request=request)


def test_caller_gets_the_number_that_the_answer_has(send):
    [sent] = send(REQUEST)
    assert not sent.is_the_callers and sent.numbers_are_the_same and sent.own == REQUEST


def whole(*attrs):
    """Return a message with other attributes before, between and behind these two."""
    before, between, behind = attr(3, b'eth3\0'), attr(99, b'?'), attr(4, struct.pack('I', 9000))
    return message(before, *attrs[:-1], between, attrs[-1], behind)


def filled(profile, size=65532 - 4 - 44 - 4):
    """Return a request with so many other bytes: by default, as many as fit in once it has changed."""
    return message(attr(netlink.IFLA_PORT_SELF | netlink.NESTED, attr(2, profile), attr(99, bytes(size))))


CHANGED = [
    # Of any length.
    *((for_vnic((b'p' * i + b'\0')[:40]), for_vnic(b'p' * i + bytes(40 - i), vfs=())) for i in range(41)),
    # All else stays, in order.
    (
        whole(vf_infos(SELF), port(netlink.IFLA_PORT_SELF, b'Profile1\0')),
        whole(port(netlink.IFLA_PORT_SELF, PADDED)),
    ),
    (for_vnic(PADDED, vfs=(0, SELF, 0x7FFFFFFE)), for_vnic(PADDED, vfs=(0, 0x7FFFFFFE))),
    *((for_vfs(b'Profile1\0', number), for_vfs(PADDED, number)) for number in (1, 2, 32, 256, 400)),
    (filled(b'P\0'), filled(b'P'.ljust(40, b'\0'))),
]


def test_only_what_kernels_refuse_is_changed(send):
    sent = send(*(request for request, _ in CHANGED))
    assert [sent.message for sent in sent] == [accepted for _, accepted in CHANGED]


AT = {name: REQUEST.index(data) - 4 for name, data in (('profile', b'Profile1'), ('vm', netlink.VM))}
NEST = AT['profile'] - 4
NO_VF = attr(netlink.IFLA_VFINFO_LIST, attr(netlink.IFLA_VF_INFO, attr(netlink.IFLA_VF_MAC), 4 * b'\xff'))
LEFT_ALONE = {
    'right': [
        for_vnic(None, vfs=(), request=netlink.DISASSOCIATE),
        for_vnic(PADDED, vfs=()),
        for_vnic(PADDED, vfs=(3,)),
        for_vnic(bytes(41), vfs=()),
        for_vfs(PADDED, 9),
        for_vfs(None, 9),
    ],
    'not-a-port-profile-request': [
        message(),
        message(attr(3, b'eth3\0')),
        message(vf_infos(SELF)),
        message(vf_infos(SELF), attr(netlink.IFLA_VF_PORTS | netlink.NESTED)),
        message(attr(2, b'Profile1\0')),
        message(attr(netlink.IFLA_VF_PORTS, attr(2, b'Profile1\0'))),
        *(message(REQUEST[32:], kind=kind) for kind in range(RTM_SETLINK + 2) if kind != RTM_SETLINK),
    ],
    'too-long': [filled(b'P\0', 65532 - 48), filled(b'P\0', 65532 - 20)],
    # With a header that knows it.
    'cut': [struct.pack('I', i) + REQUEST[4:i] for i in range(16, len(REQUEST)) if i != NEST],
    # Too small, beyond the nest, or beyond the message.
    'wrong-length': [
        REQUEST[:offset] + struct.pack('H', size) + REQUEST[offset + 2 :]
        for offset in (NEST, *AT.values())
        for size in (0, 1, 3, len(REQUEST), 0xFFFF)
    ],
    'mac-without-a-vf': [message(NO_VF, port(netlink.IFLA_PORT_SELF, PADDED))],
    'bytes-behind-the-last': [message(attr(netlink.IFLA_PORT_SELF, attr(2, b'P\0'), bytes(1)))],
}


@pytest.mark.parametrize('messages', LEFT_ALONE.values(), ids=LEFT_ALONE)
def test_other_messages_are_left_alone(send, messages):
    assert [(sent.message, sent.is_the_callers) for sent in send(*messages)] == [
        (message, True) for message in messages
    ]


def test_messages_to_others_are_left_alone(send):
    for there in {'peer': 4242}, {'protocol': netlink.NETLINK_GENERIC}:  # lldpad, for one
        [sent] = send(REQUEST, **there)
        assert sent.is_the_callers and sent.message == REQUEST


def test_any_damage_gives_the_message_itself_or_one_that_is_whole(send):
    damaged, dice = [], random.Random(1)
    for request in for_vnic(b'Profile1\0', vfs=(0, SELF)), for_vfs(b'P\0', 3):
        for _ in range(3000):
            broken = bytearray(request)
            for _ in range(dice.choice((1, 1, 2, 5))):
                values = 0, 1, 2, 3, 4, 5, 22, 25, 39, 40, 127, 128, 255
                broken[dice.randrange(16, len(broken))] = dice.choice(values)
            damaged.append(bytes(broken))
    changed = [sent.message for bad, sent in zip(damaged, send(*damaged)) if sent.message != bad]
    assert 1000 < len(changed) < len(damaged)
    for attrs in (attrs for msg in changed for attrs in netlink.ports_in(msg)):
        assert len(attrs.get(netlink.IFLA_PORT_PROFILE, PADDED)) >= 40


def test_without_memory_the_message_is_sent_as_it_is(send):
    for request, right in (REQUEST, ACCEPTED), (for_vfs(b'Profile1\0', 3), for_vfs(PADDED, 3)):
        for most in [0, *range(1, len(right), 4)]:
            [sent] = send(request, most=most)
            assert sent.is_the_callers and sent.message == request, most
        assert send(request, most=len(right))[0].message == right


def test_threads(send):
    other = message(attr(3, b'eth3\0'))
    sent = send(REQUEST, VFS_REQUEST, other, threads=8)
    assert [sent.message for sent in sent] == [ACCEPTED, VFS_ACCEPTED, other]
