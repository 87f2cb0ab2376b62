# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's NICs, from sysfs."""

import collections
import os

SYS_NET = '/sys/class/net'
DYNAMIC_VNIC, VF = (b'0x1137', b'0x0044'), (b'0x1137', b'0x0071')  # PCI vendor, Cisco, and device

# vmfex: a dict of VM-FEX NICs to what keeps VMs off them, '' if nothing does; others: names of all others
HostNICs = collections.namedtuple('HostNICs', 'vmfex others')


def read_nics():
    """Return the HostNICs, eth3 before eth10. PCI devices tell VM-FEX NICs, as they do to the enic driver."""
    kinds = {nic: kind_of(nic) for nic in sorted(os.listdir(SYS_NET), key=lambda name: (len(name), name))}
    vmfex = {nic: find_fault(nic, kind) for nic, kind in kinds.items() if kind in (DYNAMIC_VNIC, VF)}
    return HostNICs(vmfex, set(kinds).difference(vmfex))


def kind_of(nic):
    try:
        return tuple(read(f'{SYS_NET}/{nic}/device/{name}') for name in ('vendor', 'device'))
    except OSError:  # not a PCI device, or just gone
        return ()


def find_fault(nic, kind):
    """Return what keeps VMs off a VM-FEX NIC of that kind, '' if nothing does."""
    folder = f'{SYS_NET}/{nic}'
    try:
        links = sorted(os.listdir(folder))
        pfs = os.listdir(folder + '/device/physfn/net') if kind == VF else []
        down = [pf for pf in pfs if not int(read(f'{SYS_NET}/{pf}/flags'), 16) & 1]  # IFF_UP
    except OSError as e:
        return f"{nic} can't be read ({e.strerror})"
    if down:
        return f"PF {down[0]} of {nic} is down"  # libvirt refuses its VFs
    # Of these NICs the kernel refuses a macvtap: EBUSY, EINVAL.
    if 'master' in links:
        return f"{nic} is a port of {os.path.basename(os.path.realpath(folder + '/master'))}"
    return next((f"{link[len('upper_') :]} is on {nic}" for link in links if link.startswith('upper_')), '')


def read(path):
    with open(path, 'rb', buffering=0) as f:  # as text it takes twice the time, with hundreds of NICs
        return f.read().strip()
