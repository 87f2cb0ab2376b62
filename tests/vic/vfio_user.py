# SPDX-License-Identifier: GPL-2.0-or-later
"""
A PCI device for QEMU in this process: the server's side of vfio-user.

The rules are those of QEMU's docs/interop/vfio-user.rst; the numbers are Linux' vfio.h's.
"""

import array
import contextlib
import json
import mmap
import os
import socket
import struct
import threading

HEADER = struct.Struct('<HHIII')  # message's number, command, size, flags, error
REPLY, NO_REPLY = 1, 0x10
REGIONS, CONFIG = 9, 7  # BARs 0 to 5, ROM, configuration space, VGA
INTERRUPTS, MSIX = 5, 2
IRQ_EVENTFD, IRQ_NORESIZE = 1, 8  # as DATA_EVENTFD of SET_IRQS is 4


class Memory:
    """The machine's memory, as the parts of it that QEMU has mapped for the device's DMA."""

    def __init__(self):
        self._parts = {}

    def map(self, address, size, fd, offset):
        self._parts[address] = mmap.mmap(fd, size, offset=offset)

    def unmap(self, address):
        # Of what came without a file, as ROM does, nothing is here.
        if address in self._parts:
            self._parts.pop(address).close()

    def _find(self, address, size):
        for start, part in self._parts.items():
            if start <= address and address + size <= start + len(part):
                return part, address - start
        raise ValueError(f'DMA outside of the memory: {address:#x}')

    def read(self, address, size):
        part, at = self._find(address, size)
        return part[at : at + size]

    def write(self, address, data):
        part, at = self._find(address, len(data))
        part[at : at + len(data)] = data


class Device:
    """
    A PCI device, to be served at the socket of that path, in a thread that ends with QEMU.

    Subclasses have regions, a dict of region to size, vectors, the number of MSI-X vectors, and
    read(region, offset, size), write(region, offset, data), which get one register access each,
    and reset().
    """

    def __init__(self, path):
        self.path = path
        self.memory = Memory()
        self._eventfds = {}
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def interrupt(self, vector):
        if vector in self._eventfds:
            os.eventfd_write(self._eventfds[vector], 1)

    def _serve(self):
        with self._listener:
            connection, _ = self._listener.accept()
        with connection, contextlib.suppress(ConnectionResetError):
            while True:
                header, files = receive(connection)
                if not header:
                    break
                number, command, size, flags, _ = HEADER.unpack(header)
                size -= HEADER.size
                payload = connection.recv(size, socket.MSG_WAITALL) if size else b''
                answer = COMMANDS[command](self, payload, files)
                if not flags & NO_REPLY:
                    size = HEADER.size + len(answer)
                    connection.sendall(HEADER.pack(number, command, size, REPLY, 0) + answer)

    # The commands. Each gets the payload and file descriptors, and returns the answer's payload.

    def _version(self, payload, files):
        capabilities = json.dumps({'capabilities': {'max_msg_fds': 8}})
        return payload[:4] + capabilities.encode() + b'\0'

    def _dma_map(self, payload, files):
        _, _, offset, address, size = struct.unpack('<IIQQQ', payload)
        for fd in files:
            self.memory.map(address, size, fd, offset)
            os.close(fd)
        return b''

    def _dma_unmap(self, payload, files):
        self.memory.unmap(struct.unpack('<IIQQ', payload)[2])
        return payload

    def _get_info(self, payload, files):
        resettable_pci_device = 3
        return struct.pack('<IIII', 16, resettable_pci_device, REGIONS, INTERRUPTS)

    def _get_region_info(self, payload, files):
        region = struct.unpack('<IIIIQQ', payload)[2]
        size = self.regions.get(region, 0)
        return struct.pack('<IIIIQQ', 32, 3 if size else 0, region, 0, size, 0)  # 3: read, write

    def _get_irq_info(self, payload, files):
        index = struct.unpack('<IIII', payload)[2]
        count = self.vectors if index == MSIX else 0
        return struct.pack('<IIII', 16, IRQ_EVENTFD | IRQ_NORESIZE, index, count)

    def _set_irqs(self, payload, files):
        _, _, index, start, count = struct.unpack_from('<IIIII', payload)
        # Without files, count vectors lose theirs; a count of 0 means all.
        for vector in range(start, start + count) if count else list(self._eventfds):
            if index == MSIX and vector in self._eventfds:
                os.close(self._eventfds.pop(vector))
        if index == MSIX:
            self._eventfds.update(enumerate(files, start))
        return b''

    def _region_read(self, payload, files):
        offset, region, size = struct.unpack('<QII', payload)
        return payload + self.read(region, offset, size)

    def _region_write(self, payload, files):
        offset, region, _ = struct.unpack_from('<QII', payload)
        self.write(region, offset, payload[16:])
        return payload[:16]

    def _reset(self, payload, files):
        self.reset()
        return b''


COMMANDS = {
    1: Device._version,
    2: Device._dma_map,
    3: Device._dma_unmap,
    4: Device._get_info,
    5: Device._get_region_info,
    7: Device._get_irq_info,
    8: Device._set_irqs,
    9: Device._region_read,
    10: Device._region_write,
    13: Device._reset,
}


def receive(connection):
    """Return a message's header, empty at the end, and the file descriptors that came with it."""
    header, ancillary, _, _ = connection.recvmsg(HEADER.size, socket.CMSG_SPACE(8 * 4), socket.MSG_WAITALL)
    files = array.array('i')
    for _, _, data in ancillary:
        files.frombytes(data)
    return header, list(files)
