# SPDX-License-Identifier: GPL-2.0-or-later
"""A made-up sysfs with the kernel's shape, as far as NICs go."""

import os
import shutil

CISCO = '0x1137'
DYNAMIC_VNIC, VNIC, VF = '0x0044', '0x0043', '0x0071'
FREE = '00:00:00:00:00:00'  # the MAC of a VIC NIC that nobody used yet
UP, DOWN = '0x1003', '0x1002'


class Sysfs:
    """
    The folders class/net and devices under root.

    As in the kernel's, class/net holds a link for each NIC to its folder below its device, in
    the PCI tree or, for a virtual NIC, in devices/virtual.
    """

    def __init__(self, root):
        self.root = root
        self.class_net = os.path.join(root, 'class', 'net')
        os.makedirs(self.class_net)
        os.makedirs(os.path.join(root, 'devices', 'virtual', 'net'))
        with open(os.path.join(self.class_net, 'bonding_masters'), 'w') as f:
            f.write('bond0\n')  # not a NIC, but there on many hosts
        self._slots = 0

    def add(self, nic, mac=FREE, vendor=CISCO, device=DYNAMIC_VNIC, pf=None):
        """
        Add a NIC. Its device is a new PCI function, of the PF of that name if there is one; it has none
        if vendor is None.
        """
        if vendor is None:
            parent = os.path.join('devices', 'virtual')
        else:
            self._slots += 1
            address = f'{6 + self._slots // 256:02x}:{self._slots // 8 % 32:02x}.{self._slots % 8}'
            parent = os.path.join('devices', 'pci0000:00', '0000:00:02.0', '0000:' + address)
        folder = os.path.join(self.root, parent, 'net', nic)
        os.makedirs(folder)
        if vendor is not None:
            os.symlink('../../../' + os.path.basename(parent), os.path.join(folder, 'device'))
            write(os.path.join(self.root, parent, 'vendor'), vendor)
            write(os.path.join(self.root, parent, 'device'), device)
        write(os.path.join(folder, 'address'), mac)
        write(os.path.join(folder, 'flags'), UP)
        if pf:
            number, device = len(self.vfs(pf)), self.device(pf)
            os.symlink('../' + os.path.basename(device), os.path.join(self.root, parent, 'physfn'))
            os.symlink('../' + os.path.basename(parent), os.path.join(device, f'virtfn{number}'))
            for name in 'sriov_numvfs', 'sriov_totalvfs':
                write(os.path.join(device, name), str(number + 1))
        os.symlink(os.path.join('..', '..', parent, 'net', nic), os.path.join(self.class_net, nic))

    def remove(self, nic):
        """Remove a dynamic vNIC."""
        shutil.rmtree(self.device(nic))
        os.unlink(os.path.join(self.class_net, nic))

    def rename(self, renamed):
        """Give NICs other names, a dict of old to new ones, as at a reboot."""
        devices = {old: self.device(old) for old in renamed}
        for old in renamed:
            os.unlink(os.path.join(self.class_net, old))
        for old, new in renamed.items():
            parent = os.path.relpath(devices[old], self.root)
            os.rename(os.path.join(devices[old], 'net', old), os.path.join(devices[old], 'net', new))
            os.symlink(os.path.join('..', '..', parent, 'net', new), os.path.join(self.class_net, new))

    def device(self, nic):
        """Return the folder of a NIC's PCI function."""
        return os.path.realpath(os.path.join(self.class_net, nic, 'device'))

    def vfs(self, pf):
        """Return the names of a PF's VFs, by number."""
        device, names = self.device(pf), {}
        for link in os.listdir(device):
            if link.startswith('virtfn'):
                names[int(link[6:])] = os.listdir(os.path.join(device, link, 'net'))[0]
        return names

    def make_own(self, nic):
        """Let a VM-FEX NIC become the host's own: after a reboot, another NIC may have that name."""
        write(os.path.join(self.device(nic), 'device'), VNIC)

    def make_vmfex(self, nic):
        write(os.path.join(self.device(nic), 'device'), DYNAMIC_VNIC)

    def put_on(self, nic, upper, bridge=False):
        """Let a virtual NIC be on top of that one; a bridge is its master, too."""
        for link in ['upper_' + upper] + ['master'] * bridge:
            os.symlink('../' + upper, os.path.join(self.class_net, nic, link))

    def take_off(self, nic, upper):
        for link in 'upper_' + upper, 'master':
            if os.path.lexists(os.path.join(self.class_net, nic, link)):
                os.unlink(os.path.join(self.class_net, nic, link))

    def set_link(self, nic, flags):
        write(os.path.join(self.class_net, nic, 'flags'), flags)


def write(path, text):
    # In one call, and in place, so that a hook never reads half a value.
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    os.write(fd, (text + '\n').encode())
    os.close(fd)
