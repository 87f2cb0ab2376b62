# SPDX-License-Identifier: GPL-2.0-or-later
"""Made-up PCI functions: the part of sysfs that tells VIC NICs from others, and VFs from their PF."""

import os
from pathlib import Path

CISCO = '0x1137'
DYNAMIC_VNIC, VNIC, VF = '0x0044', '0x0043', '0x0071'


class Sysfs:
    """
    The folders class/net and devices under root, with the kernel's shape.

    class/net holds a link for each NIC to its folder below its PCI function, whose one entry is the link
    "device" to that function.
    """

    def __init__(self, root):
        self.devices, self.class_net = (os.path.join(root, name) for name in ('devices', 'class/net'))
        os.makedirs(self.class_net)
        self._slots = 0

    def add(self, nic, vendor=CISCO, device=DYNAMIC_VNIC, pf=None):
        """Add a NIC on a new PCI function, a VF of the PF of that name if there is one."""
        self._slots += 1
        address = f'0000:{6 + self._slots // 256:02x}:{self._slots // 8 % 32:02x}.{self._slots % 8}'
        function = os.path.join(self.devices, address)
        os.makedirs(os.path.join(function, 'net', nic))
        os.symlink(function, os.path.join(function, 'net', nic, 'device'))
        os.symlink(os.path.join(function, 'net', nic), os.path.join(self.class_net, nic))
        Path(function, 'vendor').write_text(vendor)
        Path(function, 'device').write_text(device)
        if pf:
            number, device = len(self.vfs(pf)), self.device(pf)
            os.symlink(device, os.path.join(function, 'physfn'))
            os.symlink(function, os.path.join(device, f'virtfn{number}'))
            for name in 'sriov_numvfs', 'sriov_totalvfs':
                Path(device, name).write_text(str(number + 1))

    def device(self, nic):
        """Return the folder of a NIC's PCI function."""
        return os.path.realpath(os.path.join(self.class_net, nic, 'device'))

    def vfs(self, pf):
        """Return the names of a PF's VFs, by number."""
        links = Path(self.device(pf)).glob('virtfn*')
        return {int(link.name[len('virtfn') :]): os.listdir(link / 'net')[0] for link in links}

    def make_own(self, nic):
        """Let a VM-FEX NIC become the host's own: after a reboot, another NIC may have that name."""
        Path(self.device(nic), 'device').write_text(VNIC)

    def make_vmfex(self, nic):
        Path(self.device(nic), 'device').write_text(DYNAMIC_VNIC)
