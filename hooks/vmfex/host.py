# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's VM-FEX NICs, from sysfs."""

import collections
import os
import re

SYS_NET = '/sys/class/net'
DYNAMIC_VNIC, VF = b'0x0044', b'0x0071'  # PCI devices of Cisco, 0x1137

# nics: the names of those that VMs can use, in natural order; pfs_down: names of PFs
HostNICs = collections.namedtuple('HostNICs', 'nics pfs_down')


def vmfex_nics():
    """
    Return the HostNICs, without VFs whose PF is down: libvirt refuses these. NICs that need a port
    profile are known by their PCI device, as to the enic driver, whatever their MAC address.
    """
    nics, pfs_down = [], set()
    for nic in os.listdir(SYS_NET):
        device = f'{SYS_NET}/{nic}/device'
        if read(device + '/vendor') == b'0x1137':
            product = read(device + '/device')
            down = find_pfs_down(device) if product == VF else []
            pfs_down.update(down)
            if product in (DYNAMIC_VNIC, VF) and not down:
                nics.append(nic)
    return HostNICs(sorted(nics, key=natural), sorted(pfs_down))


def find_pfs_down(device):
    """Return in a list the name of the VF's PF if it is down."""
    try:
        pfs = os.listdir(device + '/physfn/net')
    except OSError:  # just gone
        return []
    return [pf for pf in pfs if not int(read(f'{SYS_NET}/{pf}/flags') or b'0', 16) & 1]  # IFF_UP


def read(path):
    try:
        with open(path, 'rb', buffering=0) as f:  # as text it takes twice the time, with hundreds of NICs
            return f.read().strip()
    except OSError:  # not a NIC, not a PCI device, or just gone
        return b''


def natural(name):
    """Return the key that sorts eth3 before eth10."""
    return [(text, int(number or 0)) for number, text in re.findall('([0-9]+)|([^0-9]+)', name)]
