# SPDX-License-Identifier: GPL-2.0-or-later
"""
A fake of VDSM's libvirtconnection: a virConnect to the host's libvirt.

VDSM authenticates with SASL, the tests' libvirtd lets root in. As with VDSM's, methods of the
connection log it and end the process by SIGTERM when libvirtd is gone, unless told otherwise.
"""

import functools
import logging
import os
import signal

import libvirt

GONE = (
    libvirt.VIR_ERR_SYSTEM_ERROR,
    libvirt.VIR_ERR_INTERNAL_ERROR,
    libvirt.VIR_ERR_NO_CONNECT,
    libvirt.VIR_ERR_INVALID_CONN,
)


def get(target=None, killOnFailure=True):
    conn = libvirt.open('qemu:///system')
    for name in dir(libvirt.virConnect):
        if not name.startswith('_') and callable(getattr(conn, name)):
            setattr(conn, name, _watched(getattr(conn, name), killOnFailure))
    return conn


def _watched(method, kill_on_failure):
    @functools.wraps(method)
    def call(*args, **kwargs):
        try:
            return method(*args, **kwargs)
        except libvirt.libvirtError as e:
            if (
                e.get_error_domain() in (libvirt.VIR_FROM_REMOTE, libvirt.VIR_FROM_RPC)
                and e.get_error_code() in GONE
                and kill_on_failure
            ):
                logging.getLogger('plain fake').error('connection broken, taking the process down')
                os.kill(os.getpid(), signal.SIGTERM)
            raise

    return call
