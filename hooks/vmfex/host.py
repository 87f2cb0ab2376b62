# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's NICs, from sysfs."""

import collections
import os

SYS_NET = '/sys/class/net'
DYNAMIC_VNIC, VF = (b'0x1137', b'0x0044'), (b'0x1137', b'0x0071')  # PCI vendor, Cisco, and device

# vmfex: a dict of VM-FEX NICs, in natural order, to what keeps VMs off them, '' if nothing does
# others: the names of all other NICs
HostNICs = collections.namedtuple('HostNICs', 'vmfex others')


def read_nics():
    """
    Return the HostNICs. NICs that need a port profile are known by their PCI device, as to the enic
    driver, whatever their MAC address.
    """
    names = sorted(os.listdir(SYS_NET), key=lambda name: (len(name), name))  # eth3 before eth10
    faults = {nic: find_fault(nic) for nic in names}
    vmfex = {nic: fault for nic, fault in faults.items() if fault is not None}
    return HostNICs(vmfex, set(names).difference(vmfex))


def find_fault(nic):
    """Return what keeps VMs off a NIC, '' if nothing does, None if it is not a VM-FEX NIC."""
    folder = f'{SYS_NET}/{nic}'
    try:
        kind = kind_of(nic)
        if kind not in (DYNAMIC_VNIC, VF):
            return None
        pfs = os.listdir(folder + '/device/physfn/net') if kind == VF else []
        down = [pf for pf in pfs if not int(read(f'{SYS_NET}/{pf}/flags'), 16) & 1]  # IFF_UP
        links = sorted(os.listdir(folder))
    except OSError:  # not a PCI device, or just gone
        return None
    if down:
        return f"PF {down[0]} of {nic} is down"  # libvirt refuses its VFs
    # Of these NICs the kernel refuses a macvtap: EBUSY, EINVAL.
    if 'master' in links:
        return f"{nic} is a port of {os.path.basename(os.path.realpath(folder + '/master'))}"
    return ''.join(f"{link[len('upper_') :]} is on {nic}" for link in links if link.startswith('upper_'))


def kind_of(nic):
    return tuple(read(f'{SYS_NET}/{nic}/device/{name}') for name in ('vendor', 'device'))


def read(path):
    with open(path, 'rb', buffering=0) as f:  # as text it takes twice the time, with hundreds of NICs
        return f.read().strip()
