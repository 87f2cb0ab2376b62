# SPDX-License-Identifier: GPL-2.0-or-later
"""What the library for libvirtd makes of libvirt's port profile requests, and of other messages."""

import collections
import os
import random
import shlex
import struct
import subprocess

import pytest

from tests.hook import TREE
from tests.port_profile import netlink
from tests.port_profile.netlink import SELF, attr, for_vfs, for_vnic, message, port, vf_infos, vf_ports

HERE = os.path.dirname(os.path.abspath(__file__))
NO_MEMORY = 0xFFFFFFFF
PADDED = b'Profile1'.ljust(40, b'\0')
ACCEPTED = for_vnic(PADDED, vfs=())

Sent = collections.namedtuple('Sent', 'message peer is_the_callers own')


@pytest.fixture(
    scope='module', params=['', 'address,undefined', 'thread'], ids=lambda param: param or 'plain'
)
def program(request, tmp_path_factory):
    """send.c with the library in front of next.c and libnl, built with a sanitizer."""
    folder = str(tmp_path_factory.mktemp('send'))
    sanitize = ['-fsanitize=' + request.param, '-fno-sanitize-recover=all'] if request.param else []
    flags = ['-Wall', '-Wextra', '-Werror', '-O1', '-g', *sanitize]
    libnl = shlex.split(subprocess.check_output(['pkg-config', '--cflags', '--libs', 'libnl-3.0'], text=True))
    library = folder + '/libvmfex-port-profile.so'
    subprocess.run(
        ['make', '-s', '-C', TREE, 'port-profile', 'LIBRARY=' + library, 'CFLAGS=' + ' '.join(flags)],
        check=True,
    )
    subprocess.run(
        ['gcc', *flags, '-fPIC', '-shared', '-o', folder + '/next.so', HERE + '/next.c', *libnl, '-ldl'],
        check=True,
    )
    subprocess.run(
        [
            'gcc',
            *flags,
            '-o',
            folder + '/send',
            HERE + '/send.c',
            library,
            folder + '/next.so',
            *libnl,
            '-lpthread',
        ],
        check=True,
    )
    return folder + '/send'


@pytest.fixture
def send(program):
    """Sends messages through the library. Returns what comes out, for one message or for a list."""

    def send_all(messages, protocol=netlink.NETLINK_ROUTE, peer=0, most=0, threads=0):
        single = isinstance(messages, bytes)
        asked = b''.join(
            struct.pack('IIII', protocol, peer, most, len(msg)) + msg
            for msg in ([messages] if single else messages)
        )
        out = subprocess.run([program, str(threads)], input=asked, stdout=subprocess.PIPE, check=True).stdout
        sent = []
        while out:
            result, same, to, size, own_size = struct.unpack_from('iIIII', out)
            assert result == 4711  # what the next one returned
            message, own, out = out[20 : 20 + size], out[20 + size :][:own_size], out[20 + size + own_size :]
            sent.append(Sent(message, to, bool(same), own))
        return sent[0] if single else sent

    return send_all


@pytest.fixture
def is_left_alone(send):
    """Tells whether all of these messages are sent as they are."""

    def is_left_alone(messages, **kwargs):
        return [(sent.message, sent.is_the_callers) for sent in send(messages, **kwargs)] == [
            (message, True) for message in messages
        ]

    return is_left_alone


def test_vf_minus_1_is_left_out_and_the_port_profile_gets_40_bytes(send):
    for request in netlink.ASSOCIATE, netlink.PREASSOCIATE_RR:
        sent = send(for_vnic(b'Profile1\0', request=request))
        assert sent.message == for_vnic(PADDED, vfs=(), request=request)
        assert sent.peer == 0


@pytest.mark.parametrize('size', range(41))
def test_port_profile_of_any_length(send, size):
    profile = (b'p' * size + b'\0')[:40]
    assert send(for_vnic(profile)).message == for_vnic(profile.ljust(40, b'\0'), vfs=())


def test_caller_gets_the_number_that_the_answer_has(send):
    message = for_vnic(b'Profile1\0')
    own = send(message).own
    assert own[16:] == message[16:]
    assert struct.unpack_from('IHHII', own) == (len(message), netlink.RTM_SETLINK, 5, 0x5E9, 0x41D)


def test_what_else_is_in_the_message_stays_in_order(send):
    before, between, after = attr(3, b'eth3\0'), attr(99, b'?'), attr(4, struct.pack('I', 9000))

    def whole(*infos_and_port):
        return message(before, *infos_and_port[:-1], between, infos_and_port[-1], after)

    assert send(whole(vf_infos(SELF), port(netlink.IFLA_PORT_SELF, b'P\0'))).message == whole(
        port(netlink.IFLA_PORT_SELF, b'P'.ljust(40, b'\0'))
    )


def test_only_vf_minus_1_is_left_out(send):
    assert send(for_vnic(PADDED, vfs=(0, SELF, 0x7FFFFFFE))).message == for_vnic(PADDED, vfs=(0, 0x7FFFFFFE))


@pytest.mark.parametrize('number', [1, 2, 32, 256, 400])
def test_vfs_keep_their_number_and_mac(send, number):
    assert send(for_vfs(b'Profile1\0', number)).message == for_vfs(PADDED, number)


def test_empty_and_odd_attributes_stay_as_they_are(send):
    def with_empty(profile):
        return message(vf_ports(attr(netlink.IFLA_VF_PORT), port(netlink.IFLA_VF_PORT, profile, 0)))

    assert send(with_empty(b'P\0')).message == with_empty(b'P'.ljust(40, b'\0'))
    # This is not a whole IFLA_VF_MAC: what comes behind it is not vf.
    odd = attr(netlink.IFLA_VFINFO_LIST | netlink.NESTED, attr(1, attr(netlink.IFLA_VF_MAC), b'\xff' * 4))
    assert send(message(odd, port(netlink.IFLA_PORT_SELF, b'P\0'))).message == message(
        odd, port(netlink.IFLA_PORT_SELF, b'P'.ljust(40, b'\0'))
    )


def test_requests_up_to_what_a_nest_can_hold(send, is_left_alone):
    def filled(profile, size):
        return message(attr(netlink.IFLA_PORT_SELF | netlink.NESTED, attr(2, profile), attr(99, bytes(size))))

    most = 65532 - 4 - 44 - 4
    assert send(filled(b'P\0', most)).message == filled(b'P'.ljust(40, b'\0'), most)
    assert is_left_alone([filled(b'P\0', size) for size in (most + 4, most + 32)])


def test_right_messages_are_left_alone(is_left_alone):
    assert is_left_alone(
        [
            for_vnic(None, vfs=(), request=netlink.DISASSOCIATE),
            for_vnic(PADDED, vfs=()),
            for_vnic(PADDED, vfs=(3,)),
            for_vnic(bytes(41), vfs=()),
            for_vfs(PADDED, 9),
            for_vfs(None, 9),
            message(),
            message(attr(3, b'eth3\0')),
            # Neither of these is a port profile request.
            message(vf_infos(SELF)),
            message(vf_infos(SELF), vf_ports()),
            message(attr(2, b'Profile1\0')),
            message(attr(netlink.IFLA_VF_PORTS, attr(2, b'Profile1\0'))),
        ]
    )


def test_messages_of_others_are_left_alone(is_left_alone):
    request = for_vnic(b'Profile1\0')
    assert is_left_alone([request], peer=4242)  # lldpad
    assert is_left_alone([request], protocol=netlink.NETLINK_GENERIC)
    assert is_left_alone(
        [message(request[32:], kind=kind) for kind in range(netlink.RTM_SETLINK)]
        + [message(request[32:], kind=netlink.RTM_SETLINK + 1)]
    )


def test_malformed_messages_are_left_alone(is_left_alone):
    request = for_vnic(b'Profile1\0')
    at = {name: request.index(data) - 4 for name, data in (('profile', b'Profile1'), ('vm', netlink.VM))}
    nest = at['profile'] - 4
    assert is_left_alone(
        # Cut, with a header that knows it.
        [struct.pack('I', size) + request[4:size] for size in range(16, len(request)) if size != nest]
        # Lengths that are too small, or go beyond the nest or the message.
        + [
            request[:offset] + struct.pack('H', size) + request[offset + 2 :]
            for offset in (nest, *at.values())
            for size in (0, 1, 3, len(request), 0xFFFF)
        ]
        # A few bytes behind the last attribute of a nest.
        + [message(attr(netlink.IFLA_PORT_SELF, attr(2, b'P\0'), bytes(1)))]
    )


def test_any_damage_gives_the_message_itself_or_one_that_is_whole(send):
    damaged, dice = [], random.Random(1)
    for request in for_vnic(b'Profile1\0', vfs=(0, SELF)), for_vfs(b'P\0', 3):
        for _ in range(3000):
            broken = bytearray(request)
            for _ in range(dice.choice((1, 1, 2, 5))):
                broken[dice.randrange(16, len(broken))] = dice.choice(
                    (0, 1, 2, 3, 4, 5, 22, 25, 39, 40, 127, 128, 255)
                )
            damaged.append(bytes(broken))
    changed = 0
    for bad, sent in zip(damaged, send(damaged)):
        if sent.message != bad:
            changed += 1
            for attrs in netlink.ports_in(sent.message):
                assert len(attrs.get(netlink.IFLA_PORT_PROFILE, PADDED)) >= 40
    assert 1000 < changed < len(damaged)


def test_without_memory_the_message_is_sent_as_it_is(send, is_left_alone):
    for request, right in (
        (for_vnic(b'P\0'), for_vnic(b'P'.ljust(40, b'\0'), vfs=())),
        (
            for_vfs(b'P\0', 3),
            for_vfs(b'P'.ljust(40, b'\0'), 3),
        ),
    ):
        for most in (NO_MEMORY, *range(1, len(right), 4)):
            assert is_left_alone([request], most=most), most
        assert send(request, most=len(right)).message == right


def test_threads(send):
    requests = [for_vnic(b'Profile1\0'), for_vfs(b'P\0', 30), message(attr(3, b'eth3\0'))]
    assert [sent.message for sent in send(requests, threads=8)] == [
        ACCEPTED,
        for_vfs(b'P'.ljust(40, b'\0'), 30),
        requests[2],
    ]
