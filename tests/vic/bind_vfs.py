# SPDX-License-Identifier: GPL-2.0-or-later
"""
Runs in a machine, where the kernel has found VFs but has given none to a driver yet.

Real VFs are where the PF's SR-IOV capability says. To QEMU they are devices like others: their registers
are where their own configuration says, which a kernel never writes.
"""

import glob
import os
import struct

COMMAND, MEMORY_SPACE, BARS = 0x04, 2, 0x10

for link in sorted(glob.glob('/sys/bus/pci/devices/*/virtfn*')):
    vf = os.path.realpath(link)
    config = os.open(vf + '/config', os.O_RDWR)
    with open(vf + '/resource') as resource:
        for bar in range(6):
            start = int(resource.readline().split()[0], 16)
            if start:
                os.pwrite(config, struct.pack('<I', start), BARS + 4 * bar)
    os.pwrite(config, struct.pack('<H', MEMORY_SPACE), COMMAND)
    with open(os.path.dirname(link) + '/sriov_drivers_autoprobe', 'w') as autoprobe:
        autoprobe.write('1')
    with open('/sys/bus/pci/drivers/enic/bind', 'w') as bind:
        bind.write(os.path.basename(vf))
