# SPDX-License-Identifier: GPL-2.0-or-later
"""
Runs in a machine: guest_driver.py SOCKET BUS REGISTERS GROUP

Does to a VM's virtio NIC what a guest's driver does when it loads: no longer promiscuous, it takes the
packets of one multicast group. For a VM with nothing to boot, as Linux takes minutes in a machine. The
socket is that of QEMU's qtest, by which others do what a guest's CPU does.

The rules are those of virtio 1.0 (4.1.4, 2.4, 5.1.6.5); where registers are in BAR 4 is QEMU's choice.
"""

import socket
import struct
import sys

FEATURES, STATUS, QUEUE, ENABLE, RINGS, NOTIFY = 0x08, 0x14, 0x16, 0x1C, 0x20, 0x3000
ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK = 1, 2, 4, 8
VERSION_1 = 1
FILTERS = 7 << 17  # a control queue, for modes and addresses, and for VLANs: all of them otherwise
CONTROL = 2  # that queue's number
# In the VM's memory, which nothing else uses.
DESCRIPTORS, AVAILABLE, USED, DATA = 0x1000000, 0x1001000, 0x1002000, 0x1003000
NEXT, WRITE = 1, 2
NOT_PROMISCUOUS, TABLE = b'\0\0\0', b'\1\0'


def load(do, bus, registers, group):
    # The NIC may read memory (bus master).
    do('outl', 0xCF8, 1 << 31 | bus << 16 | 0x04)
    do('outw', 0xCFC, 6)
    do('writeb', registers + STATUS, ACKNOWLEDGE | DRIVER)
    for select, features in enumerate((FILTERS, VERSION_1)):
        do('writel', registers + FEATURES, select)
        do('writel', registers + FEATURES + 4, features)
    do('writeb', registers + STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK)
    do('writew', registers + QUEUE, CONTROL)
    for number, ring in enumerate((DESCRIPTORS, AVAILABLE, USED)):
        do('writeq', registers + RINGS + 8 * number, ring)
    do('writew', registers + ENABLE, 1)
    do('writeb', registers + STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK)
    commands = NOT_PROMISCUOUS, TABLE + struct.pack('<II', 0, 1) + bytes.fromhex(group.replace(':', ''))
    # Each is a descriptor for the command, and one for its answer, an octet.
    for number, command in enumerate(commands):
        at, descriptors = DATA + 32 * number, DESCRIPTORS + 32 * number
        do('write', at, len(command), command)
        pair = at, len(command), NEXT, 2 * number + 1, at + 31, 1, WRITE, 0
        do('write', descriptors, 32, struct.pack('<QIHHQIHH', *pair))
    do('write', AVAILABLE, 8, struct.pack('<4H', 0, len(commands), 0, 2))
    do('writew', registers + NOTIFY + 4 * CONTROL, CONTROL)


def hexadecimal(word):
    return hex(word) if isinstance(word, int) else '0x' + word.hex()


if __name__ == '__main__':
    path, bus, registers, group = sys.argv[1:]
    with socket.socket(socket.AF_UNIX) as qtest:
        qtest.connect(path)
        answers = qtest.makefile()

        def do(command, *words):
            qtest.sendall(' '.join([command, *map(hexadecimal, words)]).encode() + b'\n')
            answer = answers.readline()
            assert answer == 'OK\n', (command, words, answer)

        load(do, int(bus), int(registers, 16), group)
