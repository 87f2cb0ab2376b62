# SPDX-License-Identifier: GPL-2.0-or-later
"""
A vNIC with SR-IOV VFs that take port profiles: a PF and its VFs, in Cisco's emulation mode.

To QEMU, the PF and the VFs are functions of one slot that know nothing of each other: it hides the
SR-IOV capability of devices of other processes. Here the guest's kernel sees it nevertheless, and takes
functions 1, 2, ... for the VFs. What is left, bind_vfs.py does in the guest.

The rules are those of PCI Express (7.5.3, 7.9.3, 9.3.3).
"""

import struct

from tests.vic.firmware import DONE, EINVAL, FAILED, Vnic
from tests.vic.vfio_user import CONFIG

VF_DEVICE = 0x0071
# Capabilities, by address. Those from 0x100 on only a device with EXPRESS has.
MSIX, EXPRESS, SERIAL_NUMBER, SRIOV = 0x40, 0x60, 0x100, 0x140
CONTROL, NUM_VFS, PAGE_SIZE, BARS = SRIOV + 0x08, SRIOV + 0x10, SRIOV + 0x20, SRIOV + 0x24
PROXY_BY_INDEX = 43  # a command for a VF, which the driver gives its PF


class ExpressVnic(Vnic):
    regions = {**Vnic.regions, CONFIG: 0x1000}

    def _fill_in_config(self):
        super()._fill_in_config()
        config, version, speed_and_width = self._spaces[CONFIG], 2, 0x11
        config[MSIX + 1] = EXPRESS
        struct.pack_into('<BBH', config, EXPRESS, 0x10, 0, version)
        struct.pack_into('<HxxxxH', config, EXPRESS + 0x0C, speed_and_width, speed_and_width)


class Vf(ExpressVnic):
    device = VF_DEVICE

    def read(self, region, offset, size):
        # As a real VF's, its IDs are all ones to the guest, which must not find it by itself. QEMU, which
        # reads all at once, gets the true ones.
        if region == CONFIG and offset < 4 and size <= 4:
            return b'\xff' * size
        return super().read(region, offset, size)


class Pf(ExpressVnic):
    """A vNIC with that MAC and these VFs."""

    def __init__(self, path, refused, mac, vfs):
        self.vfs = vfs
        super().__init__(path, refused, mac)

    def _fill_in_config(self):
        super()._fill_in_config()
        config, count = self._spaces[CONFIG], len(self.vfs)
        # QEMU drops a capability that stands first: then the guest's kernel does not look for others.
        struct.pack_into('<I', config, SERIAL_NUMBER, 0x0003 | 1 << 16 | SRIOV << 20)
        struct.pack_into('<I', config, SRIOV, 0x0010 | 1 << 16)
        offset, stride, page_sizes = 1, 1, 1
        struct.pack_into('<HH', config, SRIOV + 0x0C, count, count)
        struct.pack_into('<HHxxHI', config, SRIOV + 0x14, offset, stride, VF_DEVICE, page_sizes)
        struct.pack_into('<I', config, PAGE_SIZE, 1)
        for register in CONTROL, NUM_VFS:
            struct.pack_into('<H', self._writable, register, 0xFFFF)
        for bar in 0, 2:
            struct.pack_into('<I', self._writable, BARS + 4 * bar, -self.regions[bar] & 0xFFFFFFFF)

    def read(self, region, offset, size):
        answer = super().read(region, offset, size)
        # QEMU looks for capabilities in what it reads at once, and hides this one: to QEMU it is a
        # vendor's. What the guest reads, 4 octets at most, QEMU passes on.
        if region == CONFIG and size > 4 and offset <= SRIOV < offset + size:
            answer = bytearray(answer)
            struct.pack_into('<II', answer, SRIOV - offset, 0x000B | 1 << 16, 0x40 << 20)
        return bytes(answer)

    def run(self, command, arguments):
        if command & 0x3FFF != PROXY_BY_INDEX:
            return super().run(command, arguments)
        index, command, *arguments = arguments
        if index >= len(self.vfs):
            return FAILED, EINVAL
        return (DONE, *self.vfs[index].run(command, arguments))
