# SPDX-License-Identifier: GPL-2.0-or-later
"""
Lets something happen at a call of the hook, to libvirt or to write the XML, whichever VDSM it runs beside.

Python imports this by itself when its folder is in PYTHONPATH. Environment: FAULT_CALL is the number
of the call, from 1, FAULT a shell command to run before it, or after it if FAULT_WHEN is "after".
FAULT_LOG is a file that gets a line for each call made, so that tests find out how many there are.
"""

import functools
import itertools
import os
import subprocess

import hooking
import libvirt

calls = itertools.count(1)


def run_fault():
    env = {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}
    subprocess.run(['sh', '-c', os.environ['FAULT']], check=True, env=env)


def counted(method):
    @functools.wraps(method)
    def call(*args, **kwargs):
        when = ''
        if next(calls) == int(os.environ.get('FAULT_CALL', 0)):
            when = os.environ.get('FAULT_WHEN', 'before')
        if when == 'before':
            run_fault()
        if 'FAULT_LOG' in os.environ:
            with open(os.environ['FAULT_LOG'], 'a') as f:
                f.write(method.__name__ + '\n')
        try:
            return method(*args, **kwargs)
        finally:
            if when == 'after':
                run_fault()

    return call


for owner, names in (
    (hooking, ['write_domxml']),
    (libvirt, ['open', 'openAuth']),
    (libvirt.virConnect, ['listAllNetworks', 'networkDefineXML', 'lookupByUUIDString', 'getLibVersion']),
    (libvirt.virDomain, ['XMLDesc']),
    (
        libvirt.virNetwork,
        ['XMLDesc', 'isActive', 'isPersistent', 'autostart', 'create', 'destroy', 'setAutostart'],
    ),
):
    for name in names:
        setattr(owner, name, counted(getattr(owner, name)))
