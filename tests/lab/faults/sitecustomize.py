# SPDX-License-Identifier: GPL-2.0-or-later
"""
Lets something happen before a call of the hook, to libvirt or to write the XML, beside whichever VDSM.

Python imports this by itself when its folder is in PYTHONPATH.
Environment: FAULT_CALL is the number of the call, from 1, FAULT a shell command to run before it. The file
FAULT_LOG gets a line for each call.
"""

import functools
import itertools
import os
import subprocess

import hooking
import libvirt

calls = itertools.count(1)


def counted(method):
    @functools.wraps(method)
    def call(*args, **kwargs):
        if next(calls) == int(os.environ['FAULT_CALL']):
            subprocess.run(['sh', '-c', os.environ['FAULT']], check=True)
        with open(os.environ['FAULT_LOG'], 'a') as f:
            f.write(method.__name__ + '\n')
        return method(*args, **kwargs)

    return call


NETWORK = ('XMLDesc', 'isActive', 'isPersistent', 'autostart', 'create', 'destroy', 'setAutostart')
for owner, names in (
    (hooking, ['write_domxml']),
    (libvirt, ['open', 'openAuth']),
    (libvirt.virConnect, ['listAllNetworks', 'networkDefineXML']),
    (libvirt.virNetwork, NETWORK),
):
    for name in names:
        setattr(owner, name, counted(getattr(owner, name)))
