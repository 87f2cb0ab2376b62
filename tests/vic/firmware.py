# SPDX-License-Identifier: GPL-2.0-or-later
"""
The firmware of a Cisco VIC, as far as Linux' enic driver asks for it, and the fabric behind it.

The rules are the driver's, drivers/net/ethernet/cisco/enic: vnic_resource.h and vnic_dev.c for
what is where, vnic_wq.h, vnic_cq.h and vnic_intr.h for the registers, vnic_devcmd.h for the
commands, vnic_vic.h and enic_pp.c for port profiles. A vNIC sends, but receives nothing.
"""

import collections
import struct
import uuid

from tests.vic.vfio_user import CONFIG, Device

VNIC, DYNAMIC_VNIC = 0x0043, 0x0044  # PCI devices of Cisco, 0x1137
# The resources of a vNIC in BAR 0: type, count and offset. Rings and interrupts are 0x80 apart.
WQ, RQ, CQ, INTR, DEVCMD = 0x1000, 0x2000, 0x3000, 0x4000, 0x6000
RESOURCES = ((1, 1, WQ), (2, 1, RQ), (3, 2, CQ), (10, 4, INTR), (16, 0x80, DEVCMD))
STRIDE = 0x80
# Registers of rings, then of interrupts.
SIZE, POSTED, CQ_INDEX, ENABLE, RUNNING, FETCH = 0x08, 0x10, 0x18, 0x20, 0x28, 0x30
CQ_TAIL, CQ_COLOR, CQ_INTERRUPT, CQ_VECTOR = 0x28, 0x30, 0x38, 0x50
MASK_ON_ASSERTION, MASK, CREDITS = 0x18, 0x20, 0x30
CREDITS_UNMASK = 1 << 16
WANTS_COMPLETION = 1 << 13  # in a sent packet's descriptor
# Status of a command, and errors.
DONE, FAILED = 0, 2
SUCCESS, EINVAL, ECMDUNKNOWN, EINPROGRESS = 0, 1, 5, 12
# The configuration that DEV_SPEC tells: flags, send and receive descriptors, MTU, and zeros.
SPEC = struct.pack('<IIIH', 0, 64, 64, 1500).ljust(256, b'\0')
# Of PACKET_FILTER.
MULTICAST, PROMISCUOUS = 2, 8
# What INIT_PROV_INFO2 brings: the kind is Cisco's OUI and 4, the rest are records by these types.
PROVISIONING = bytes.fromhex('00000c04')
PROFILE, MAC, VM_UUID = 0, 1, 9

Request = collections.namedtuple('Request', 'operation profile mac vm')
NOTHING = Request(None, None, None, None)


class Vnic(Device):
    """
    A vNIC that QEMU connects to by the socket of that path; a dynamic one, unless it has a MAC.

    refused is a set of port profiles that the fabric refuses. addresses is the set of MAC addresses
    that the driver wants packets for, requests are those for port profiles, so far.
    """

    vectors = 4
    regions = {0: 0x10000, 2: 0x1000, CONFIG: 0x100}
    device = DYNAMIC_VNIC
    vfs = ()

    def __init__(self, path, refused, mac=None):
        self.refused = refused
        self.device = VNIC if mac else self.device
        self.mac = mac or '00:00:00:00:00:00'
        self.addresses = set()
        self.requests = []
        self._wanted = NOTHING
        self._spaces = {region: bytearray(size) for region, size in self.regions.items()}
        self._writable = bytearray(self.regions[CONFIG])  # which bits of the configuration are
        self._fill_in_config()
        self._fill_in_resources()
        self.reset()
        super().__init__(path)

    def _fill_in_config(self):
        config = self._spaces[CONFIG]
        has_capabilities, network = 0x10, 0x0200
        struct.pack_into('<HHHHHH', config, 0, 0x1137, self.device, 0, has_capabilities, 0, network)
        struct.pack_into('<HH4xB', config, 0x2C, 0x1137, 0x0085, 0x40)
        # MSI-X: the table and, 0x800 bytes further, the pending bits are in BAR 2.
        struct.pack_into('<BBHII', config, 0x40, 0x11, 0, self.vectors - 1, 2, 0x802)
        for command in 0x04, 0x42:
            struct.pack_into('<H', self._writable, command, 0xFFFF)

    def _fill_in_resources(self):
        struct.pack_into('<4sI', self._spaces[0], 0, b'cinv', 0)
        for number, (kind, count, offset) in enumerate(RESOURCES):
            struct.pack_into('<B3xII', self._spaces[0], 8 + 12 * number, kind, offset, count)

    def reset(self):
        self._pending = set()
        self._notify = None
        self._filter = 0
        self._enabled = False
        self._associated = self.device == VNIC
        self._result, self._slow = SUCCESS, False

    def takes(self, group):
        """Tell whether the driver wants packets for a multicast address."""
        return bool(self._filter & PROMISCUOUS or self._filter & MULTICAST and group in self.addresses)

    # Registers

    def read(self, region, offset, size):
        return bytes(self._spaces[region][offset : offset + size])

    def write(self, region, offset, data):
        space = self._spaces[region]
        if region == CONFIG:
            writable = self._writable[offset:]
            data = bytes(old & ~bits | new & bits for old, new, bits in zip(space[offset:], data, writable))
        space[offset : offset + len(data)] = data
        if region == 0:
            self._written(offset)

    def _get(self, offset):
        return struct.unpack_from('<I', self._spaces[0], offset)[0]

    def _set(self, offset, value):
        struct.pack_into('<I', self._spaces[0], offset, value)

    def _ring(self, offset):
        """Return the address of a ring's descriptors in memory. (The highest bit is a flag.)"""
        return struct.unpack_from('<Q', self._spaces[0], offset)[0] & ~(1 << 63)

    def _written(self, offset):
        vector, register = divmod(offset - INTR, STRIDE)
        if offset == DEVCMD + 4:
            self._run_command()
        elif offset in (WQ + ENABLE, RQ + ENABLE):
            self._set(offset - ENABLE + RUNNING, self._get(offset))
        elif offset == WQ + POSTED:
            self._send()
        elif 0 <= vector < self.vectors:
            if register == CREDITS and self._get(offset) & CREDITS_UNMASK:
                self._set(INTR + vector * STRIDE + MASK, 0)
            if vector in self._pending:
                self._raise(vector)

    def _raise(self, vector):
        """Interrupt the driver now, or as soon as it does not mask that any more."""
        registers = INTR + vector * STRIDE
        self._pending.add(vector)
        if not self._get(registers + MASK):
            self._pending.remove(vector)
            self._set(registers + MASK, self._get(registers + MASK_ON_ASSERTION))
            self.interrupt(vector)

    def _send(self):
        """Take all packets, which go nowhere: the driver gets back its buffers."""
        fetched = self._get(WQ + FETCH)
        while fetched != self._get(WQ + POSTED):
            descriptor = self.memory.read(self._ring(WQ) + 16 * fetched, 16)
            if struct.unpack('<QHHHH', descriptor)[3] & WANTS_COMPLETION:
                self._complete(CQ + STRIDE * self._get(WQ + CQ_INDEX), fetched)
            fetched = (fetched + 1) % self._get(WQ + SIZE)
        self._set(WQ + FETCH, fetched)

    def _complete(self, cq, descriptor):
        """Put an entry into the ring of completions."""
        tail, color = self._get(cq + CQ_TAIL), self._get(cq + CQ_COLOR)
        address = self._ring(cq) + 16 * tail
        # Its last byte tells the driver that it is there, by a colour that changes with each round.
        self.memory.write(address, struct.pack('<HH11x', descriptor, 0))
        self.memory.write(address + 15, bytes([color << 7]))
        tail = (tail + 1) % self._get(cq + SIZE)
        self._set(cq + CQ_TAIL, tail)
        self._set(cq + CQ_COLOR, color if tail else 1 - color)
        if self._get(cq + CQ_INTERRUPT):
            self._raise(self._get(cq + CQ_VECTOR))

    # Commands

    def _run_command(self):
        """Run the command that was written, and write its status and answer."""
        arguments = struct.unpack_from('<4Q', self._spaces[0], DEVCMD + 8)
        status, *answer = self.run(self._get(DEVCMD + 4), arguments)
        struct.pack_into(f'<{len(answer)}Q', self._spaces[0], DEVCMD + 8, *answer)
        self._set(DEVCMD, status)

    def run(self, command, arguments):
        """Run a command, which takes two arguments. Returns its status, and its answer or error."""
        number = command & 0x3FFF
        if number not in COMMANDS:
            return FAILED, ECMDUNKNOWN
        do = COMMANDS[number]
        return DONE, do and do(self, *arguments[:2]) or 0

    def _capability(self, command, _):
        return SUCCESS if command & 0x3FFF in OPTIONAL else ECMDUNKNOWN

    def _spec(self, offset, size):
        return int.from_bytes(SPEC[offset : offset + size], 'little')

    def _mac_address(self, *_):
        return int.from_bytes(octets(self.mac), 'little')

    def _set_mac_address(self, address, _):
        self.mac = mac_of(address)

    def _set_filter(self, kinds, _):
        self._filter = kinds

    def _add_address(self, address, _):
        self.addresses.add(mac_of(address))

    def _delete_address(self, address, _):
        self.addresses.discard(mac_of(address))

    def _set_notify(self, address, vector_and_size):
        self._notify = (address, vector_and_size >> 32) if address else None

    def _enable(self, *_):
        self._enabled = True
        self._tell_link()

    def _disable(self, *_):
        self._enabled = False
        self.addresses.clear()

    def _tell_link(self):
        if self._notify:
            address, vector = self._notify
            up = int(self._enabled and self._associated)
            link = (up, 10000, 1500, 0, 0, 0, 0, 0, 0)
            self.memory.write(address, struct.pack('<10I', sum(link), *link))
            self._raise(vector)

    # Port profiles

    def _provide(self, address, size):
        """Take in which port profile, MAC and VM it will be."""
        information = self.memory.read(address, size)
        assert information[:4] == PROVISIONING, information
        records, position = {}, 12
        while position < size:
            kind, length = struct.unpack_from('>HH', information, position)
            records[kind] = information[position + 4 : position + 4 + length]
            position += 4 + length
        vm = str(uuid.UUID(string(records[VM_UUID])))
        self._wanted = Request(None, string(records[PROFILE]), text(records[MAC]), vm)

    def _associate(self, active, _):
        self.requests.append(self._wanted._replace(operation='ASSOCIATE' if active else 'PREASSOCIATE_RR'))
        refused = self._wanted.profile in self.refused
        self._associated = bool(active) and not refused
        self._result = EINVAL if refused else SUCCESS
        self._slow = True
        self._tell_link()

    def _disassociate(self, *_):
        if self._associated:
            self.requests.append(self._wanted._replace(operation='DISASSOCIATE'))
        self._associated = False
        self._result, self._slow = SUCCESS, False
        self._tell_link()

    def _status(self, *_):
        """Tell how the last of these two went: an association is never done when first asked for."""
        if self._slow:
            self._slow = False
            return EINPROGRESS
        return self._result


def octets(mac):
    return bytes.fromhex(mac.replace(':', ''))


def text(octets):
    return ':'.join(f'{octet:02x}' for octet in octets)


def mac_of(argument):
    return text(argument.to_bytes(8, 'little')[:6])


def string(octets):
    """Return a string in a buffer. What follows its NUL may be anything: the driver does not clear it."""
    return octets.partition(b'\0')[0].decode()


# By number; None: nothing to do, and 0 is the answer.
COMMANDS = {
    1: None,  # MCPU_FW_INFO
    2: Vnic._spec,
    4: None,  # STATS_DUMP
    7: Vnic._set_filter,
    9: Vnic._mac_address,
    12: Vnic._add_address,
    13: Vnic._delete_address,
    16: None,  # NIC_CFG
    21: Vnic._set_notify,
    23: None,  # OPEN
    24: None,  # OPEN_STATUS
    25: None,  # CLOSE
    26: None,  # INIT_v1
    28: Vnic._enable,
    29: Vnic._disable,
    31: None,  # INIT_STATUS
    34: Vnic._disassociate,  # DEINIT
    35: None,  # INIT
    36: Vnic._capability,
    41: None,  # IG_VLAN_REWRITE_MODE
    47: Vnic._provide,  # INIT_PROV_INFO2
    48: Vnic._associate,  # ENABLE2
    49: Vnic._status,
    50: None,  # INTR_COAL_CONVERT
    55: Vnic._set_mac_address,
}
# Those that a driver has to ask for.
OPTIONAL = (1, 28, 35, 41, 50)
