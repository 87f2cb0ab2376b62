# SPDX-License-Identifier: GPL-2.0-or-later
"""VDSM's own Vm on a host of the lab: see vdsm_driver.py."""

import json
import os
import subprocess
import sys

from tests.hook import TESTS
from tests.vdsm_runner import PLAIN, find_vdsm, hook_environment
from tests.xml_builders import OWN, engine_nic_xml, metadata_of

DRIVER = os.path.join(TESTS, 'lab', 'vdsm_driver.py')
GREP = '/50_vmfex: rc=.* err=b.vmfex: '  # the pattern that the README gives to grep


def why_not():
    """Return why VDSM's own code can't run here, '' if it can."""
    if find_vdsm() == PLAIN:
        return 'no VDSM here: install it, or set VDSM_LIB'
    if sys.version_info >= (3, 14):
        return 'VDSM itself needs pkgutil.get_loader, which Python 3.14 dropped'
    return ''


class VdsmError(Exception):
    """What VDSM raised, or answered with another code than 0."""


class Vdsm:
    """
    VDSM on a host. Its functions are the driver's; each returns what VDSM answers, or raises VdsmError.

    log is the path of its log.
    """

    def __init__(self, host, log):
        self.host = host
        self.log = log

    def __enter__(self):
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        command = [*self.host.command(), '/usr/bin/python3', DRIVER, self.host.hooks]
        with open(self.log, 'a') as log:
            env = hook_environment(vdsm=find_vdsm())
            self.process = subprocess.Popen(command, stderr=log, env=env, **pipes)
        return self

    def __exit__(self, *exc):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(60)

    def restart(self, meanwhile=lambda: None):
        """Start VDSM anew; the VMs run on. meanwhile is called when it has ended."""
        self.__exit__()
        meanwhile()
        self.__enter__()

    def __getattr__(self, function):
        def call(*args):
            self.process.stdin.write(json.dumps([function, *args]) + '\n')
            self.process.stdin.flush()
            answer = json.loads(self.process.stdout.readline())
            result = answer.get('result')
            if 'error' in answer:
                raise VdsmError(answer['error'])
            if isinstance(result, dict) and result.get('status', {}).get('code'):
                raise VdsmError(result['status']['message'])
            return result

        return call


def device_xml(mac, network='ovirtmgmt', own=None, **nic):
    """Return what the engine sends to plug, update or unplug a NIC."""
    metadata = f'<ovirt-vm:network>{network}</ovirt-vm:network>' + (OWN.format(own) if own else '')
    return (
        f'<hotplug><devices>{engine_nic_xml(mac, network, **nic)}</devices>'
        '<metadata xmlns:ovirt-vm="http://ovirt.org/vm/1.0"><ovirt-vm:vm>'
        f'{metadata_of(mac, metadata)}</ovirt-vm:vm></metadata></hotplug>'
    )


def vm_xml(vm):
    """Return a VM's XML with its custom properties, from which VDSM takes them."""
    if not vm.vmfex:
        return vm.xml
    return vm.xml.replace('<ovirt-vm:clusterVersion>', OWN.format(vm.vmfex) + '<ovirt-vm:clusterVersion>', 1)
