# SPDX-License-Identifier: GPL-2.0-or-later
"""
A fake of VDSM's libvirtconnection: a virConnect to the host's libvirt.

VDSM authenticates with SASL, the tests' libvirtd lets root in. Unless told otherwise, VDSM's ends the
process when libvirtd is gone: the tests see that only beside VDSM's own.
"""

import libvirt


def get(target=None, killOnFailure=True):
    return libvirt.open('qemu:///system')
