# SPDX-License-Identifier: GPL-2.0-or-later
"""
The stand-in for VDSM's libvirtconnection, with something happening at a call to libvirt.

Environment: FAULT_CALL is the number of the call, from 1, FAULT a shell command to run before it, or
after it if FAULT_WHEN is "after".
FAULT_LOG is a file that gets a line for each call made, so that tests find out how many there are.
"""

import functools
import importlib.util
import itertools
import os
import subprocess

import hooking
import libvirt

stand_in = importlib.util.spec_from_file_location('stand_in', os.path.join(
    os.path.dirname(os.path.realpath(hooking.__file__)), '..', 'common', 'libvirtconnection.py'))
module = importlib.util.module_from_spec(stand_in)

calls = itertools.count(1)


def counted(method):
    @functools.wraps(method)
    def call(*args, **kwargs):
        when = ''
        if next(calls) == int(os.environ.get('FAULT_CALL', 0)):
            when = os.environ.get('FAULT_WHEN', 'before')
        if when == 'before':
            subprocess.run(['sh', '-c', os.environ['FAULT']], check=True)
        if 'FAULT_LOG' in os.environ:
            with open(os.environ['FAULT_LOG'], 'a') as f:
                f.write(method.__name__ + '\n')
        try:
            return method(*args, **kwargs)
        finally:
            if when == 'after':
                subprocess.run(['sh', '-c', os.environ['FAULT']], check=True)
    return call


for cls, names in (
        (libvirt.virConnect, ['networkLookupByName', 'networkDefineXML', 'lookupByUUIDString']),
        (libvirt.virNetwork, ['XMLDesc', 'isActive', 'isPersistent', 'autostart', 'create',
                              'destroy', 'setAutostart'])):
    for name in names:
        setattr(cls, name, counted(getattr(cls, name)))
libvirt.open = counted(libvirt.open)

stand_in.loader.exec_module(module)
get = module.get
