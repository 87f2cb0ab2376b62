# SPDX-License-Identifier: GPL-2.0-or-later
"""
Runs VDSM's own Vm (vdsm.virt.vm) on a host of the lab, and does what it is told on stdin.

Each line there is a JSON list, a function's name and its arguments; each gets a line of JSON as an
answer: {"result": ...} or {"error": ...}. What VDSM logs goes to stderr, as to vdsm.log.

VDSM's other services (supervdsm, sanlock, ...) are not there: mocks take their places, and those of
the modules that no package of the distribution has. What VDSM says to libvirt and hooks is its own.
"""

import contextlib
import importlib.abc
import importlib.machinery
import json
import logging
import os
import pickle
import queue
import sys
import time
from unittest import mock

ABSENT = ('asyncore', 'ioprocess', 'libnmstate', 'ovirt_imageio', 'sanlock', 'selinux')


class Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports a mock for a module in ABSENT that this machine does not have."""

    def find_spec(self, name, path, target=None):
        if name.split('.')[0] in ABSENT:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return mock.MagicMock(__spec__=spec, __path__=[], __name__=spec.name)

    def exec_module(self, module):
        pass


sys.meta_path.append(Absent())

import libvirt  # noqa: E402
from vdsm.common import hooks, libvirtconnection, supervdsm  # noqa: E402
from vdsm.virt import vm as vdsm_vm  # noqa: E402

supervdsm.getProxy = mock.MagicMock()


class ClientIF(mock.MagicMock):
    """The rest of VDSM, as a Vm sees it."""

    vms = {}
    stopped = queue.Queue()  # an item for each VM that libvirt says has stopped

    def prepareVolumePath(self, path, *args):
        return path

    def dispatchLibvirtEvents(self, conn, dom, *args):
        vm = self.vms.get(dom.UUIDString())
        if vm and args[-1] == libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE:
            try:
                vm.onLibvirtLifecycleEvent(*args[:2], None)
            finally:
                if args[0] == libvirt.VIR_DOMAIN_EVENT_STOPPED:
                    self.stopped.put(vm)
        elif vm and args[-1] == libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED:
            vm.onDeviceRemoved(args[0])


cif = ClientIF()


def start(params, recover=False):
    vm = vdsm_vm.Vm(cif, params, recover=recover)
    cif.vms[vm.id] = vm
    vm.run()
    return vm


def state_of(vm):
    """Wait until VDSM is done with making or losing a VM. Returns its status, and why it is down."""
    deadline = time.monotonic() + 60
    while not (vm.lastStatus == 'Down' or vm.lastStatus == 'Up' and vm._monitorable):
        if time.monotonic() > deadline:
            raise TimeoutError('the VM is ' + vm.lastStatus)
        time.sleep(0.05)
    return vm.lastStatus, vm._exit_info.get('exitMessage')


# What a test can ask for. XML is in the engine's forms.


def create(xml):
    return state_of(start({'xml': xml}))


def recover(vm_id):
    domain = libvirtconnection.get(cif).lookupByUUIDString(vm_id)  # VDSM's wrapper refers to it weakly
    xml = domain.XMLDesc()
    return state_of(start({'xml': xml}, recover=True))


def update(vm_id, xml):
    return cif.vms[vm_id].updateDevice({'deviceType': 'interface', 'xml': xml})


def plug(vm_id, xml):
    return cif.vms[vm_id].hotplugNic({'xml': xml})


def unplug(vm_id, xml):
    return cif.vms[vm_id].hotunplugNic({'xml': xml})


def suspend(vm_id, path):
    cif.vms[vm_id].pause('Saving State')
    with open(path + '.parameters', 'wb') as f:
        pickle.dump(cif.vms[vm_id].migration_parameters(), f)
    cif.vms[vm_id].hibernate(path)
    # Wait for the end of this Vm, or VDSM would report it to the next one. Some libvirts keep the event
    # until something else goes through the connection.
    for _ in range(60):
        with contextlib.suppress(queue.Empty):
            return cif.stopped.get(timeout=1).id
        libvirtconnection.get(cif).getLibVersion()
    raise TimeoutError('libvirt does not say that the VM has stopped')


def resume(xml, path):
    """Resume a VM that the engine sends that XML for: as in API.VM.create, the suspended VM's counts."""
    with open(path + '.parameters', 'rb') as f:
        return state_of(start({'xml': xml, 'restoreState': path, **pickle.load(f)}))


def expect(xml):
    """Prepare for a VM that migrates here, with its XML from the source."""
    vm = start({'xml': xml, '_srcDomXML': xml, 'migrationDest': 'libvirt'})
    return vm.waitForMigrationDestinationPrepare()


def arrived(vm_id):
    cif.vms[vm_id]._incoming_migration_completed()
    return state_of(cif.vms[vm_id])


def hooks_are_in(folder):
    hooks.P_VDSM_HOOKS = folder + '/'


def run_hooks(point, xml, vm_id, custom, own):
    """Call the hooks of a hook point, with the VM's and, unless None, the NIC's custom properties."""
    of_the_nic = {} if own is None else {'params': own}
    return getattr(hooks, point)(xml, {'custom': custom, 'vmId': vm_id}, **of_the_nic)


def main():
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    hooks_are_in(sys.argv[1])
    libvirt.virEventRegisterDefaultImpl()  # VDSM does this in a thread, perhaps after it connects
    libvirtconnection.start_event_loop()
    for line in sys.stdin:
        name, *args = json.loads(line)
        try:
            answer = {'result': globals()[name](*args)}
        except Exception as e:
            logging.exception(name)
            answer = {'error': f'{type(e).__name__}: {e}'}
        print(json.dumps(answer, default=str), flush=True)
    os._exit(0)  # as if killed: VDSM's threads need not end, and the VMs run on


main()
