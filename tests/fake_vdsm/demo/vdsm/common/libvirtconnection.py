# SPDX-License-Identifier: GPL-2.0-or-later
"""
A fake of VDSM's libvirtconnection that needs no libvirtd: libvirt's built-in test driver.

Its networks live and die with the connection, so what became of direct-pool is written to the file
named in DEMO_POOL when the hook ends.
"""

import atexit
import os

import libvirt


def get(target=None, killOnFailure=True):
    conn = libvirt.open('test:///default')

    @atexit.register
    def show_pool():
        net = conn.networkLookupByName('direct-pool')
        flags = net.isActive(), net.isPersistent(), net.autostart()
        active, persistent, autostart = ('yes' if flag else 'no' for flag in flags)
        state = f'active: {active}, persistent: {persistent}, autostart: {autostart}'
        with open(os.environ['DEMO_POOL'], 'w') as f:
            f.write(f'{state}\n{net.XMLDesc(0)}')

    return conn
