# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's NICs, by their names, from sysfs."""

import os

SYS_NET = '/sys/class/net'
# The PCI vendor, and the devices that take a port profile, by which the enic driver knows them, too.
CISCO, DYNAMIC_VNIC, VF = b'0x1137', b'0x0044', b'0x0071'


def read_nics():
    """Return a list of the VM-FEX NICs, by their PCI devices, eth3 before eth10; and a set of all others."""
    nics = sorted(os.listdir(SYS_NET), key=lambda nic: (len(nic), nic))
    vmfex = [nic for nic in nics if is_vmfex(nic)]
    return vmfex, set(nics).difference(vmfex)


def is_vmfex(nic):
    device = f'{SYS_NET}/{nic}/device'
    try:
        return read(device + '/vendor') == CISCO and read(device + '/device') in (DYNAMIC_VNIC, VF)
    except OSError:  # not a PCI device, or just gone
        return False


def find_fault(nic, leaving=()):
    """Return what keeps VMs off a VM-FEX NIC, '' if nothing does. Macvtaps named in leaving do not."""
    folder = f'{SYS_NET}/{nic}'
    try:
        links = sorted(os.listdir(folder))
        is_vf = os.path.lexists(folder + '/device/physfn')
        pfs = os.listdir(folder + '/device/physfn/net') if is_vf else []
        down = [pf for pf in pfs if not int(read(f'{SYS_NET}/{pf}/flags'), 16) & 1]  # IFF_UP
    except OSError as e:
        return f"{nic} can't be read ({e.strerror})"
    if down:
        return f"PF {down[0]} of {nic} is down"  # libvirt refuses its VFs
    # The kernel refuses a macvtap on a port (EBUSY) and beside another one (EINVAL). It does not beside
    # others, such as a VLAN, by which the host uses the NIC itself.
    if 'master' in links:
        return f"{nic} is a port of {os.path.basename(os.path.realpath(folder + '/master'))}"
    uppers = [link[len('upper_') :] for link in links if link.startswith('upper_')]
    return next((f"{upper} is on {nic}" for upper in uppers if upper not in leaving), '')


def read(path):
    with open(path, 'rb', buffering=0) as f:  # as text it takes twice the time, with hundreds of NICs
        return f.read().strip()
