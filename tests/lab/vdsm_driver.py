# SPDX-License-Identifier: GPL-2.0-or-later
"""
Runs VDSM's own API of VMs on a host of the lab, and does what it is told on stdin.

Each line there is a JSON list, a function's name and its arguments; each gets a line of JSON as an
answer: {"result": ...} or {"error": ...}. What VDSM logs goes to stderr, as to vdsm.log.

What is called is vdsm.API.VM, as by the engine's requests, and what is below it. Mocks take the places of
other services (supervdsm, storage, guest agents, the connection to the engine) and of modules that are not
here. The storage's takes a volume's ID for its path.
"""

import contextlib
import importlib
import json
import logging
import os
import queue
import sys
import threading
import uuid
from unittest import mock

# Not all distributions have packages of these.
RARE = 'asyncore ioprocess libnmstate libnmstate.schema ovirt_imageio ovirt_imageio._internal sanlock selinux'
for name in RARE.split():
    try:
        importlib.import_module(name)
    except ImportError:
        sys.modules[name] = mock.MagicMock()

import libvirt  # noqa: E402
from vdsm import API, clientIF, jobs  # noqa: E402
from vdsm.common import hooks, libvirtconnection, supervdsm  # noqa: E402
from vdsm.virt import recovery  # noqa: E402
from wait import wait_for  # noqa: E402 (beside this file)

supervdsm.getProxy = mock.MagicMock()
DONE = {'code': 0, 'message': 'Done'}


class ClientIF(clientIF.clientIF):
    """VDSM's own, with as much of what its __init__ makes as a VM needs."""

    def __init__(self):
        self.log = logging.getLogger()
        self.vm_container_lock, self.vm_start_stop_lock = threading.Lock(), threading.Lock()
        self.vmContainer, self._unknown_vm_ids = {}, set()
        self.channelListener, self.qga_poller, self.irs = mock.MagicMock(), mock.MagicMock(), mock.MagicMock()
        image = {'status': DONE, 'info': {'type': 'file'}, 'imgVolumesInfo': []}
        self.irs.prepareImage = lambda *ids: {**image, 'path': ids[-1]}
        self.irs.teardownImage.return_value = {'status': DONE}
        self.stopped = queue.Queue()  # an item for each VM that libvirt says has stopped

    def notify(self, event_id, params=None):
        """Tells the engine."""

    def dispatchLibvirtEvents(self, conn, dom, *args):
        super().dispatchLibvirtEvents(conn, dom, *args)
        if (args[-1], args[0]) == (libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, libvirt.VIR_DOMAIN_EVENT_STOPPED):
            self.stopped.put(dom.UUIDString())


cif = clientIF.clientIF._instance = ClientIF()


def state_of(vm_id):
    """Wait until VDSM is done with making or losing a VM. Returns its status, and why it is down."""
    vm = cif.vmContainer[vm_id]
    wait_for(lambda: vm.lastStatus == 'Down' or vm.lastStatus == 'Up' and vm._monitorable)
    if vm.lastStatus == 'Down':
        API.VM(vm_id).destroy()  # as the engine does
    return vm.lastStatus, vm._exit_info.get('exitMessage')


def files(memory):
    """Make the files of a memory: its own, and that of the VM's parameters. Returns their volumes' IDs."""
    paths = memory, memory + '.parameters'
    for path in paths:
        open(path, 'ab').close()
    return 'domain,pool,image,{},image,{}'.format(*paths)


# What a test can ask for. XML is in the engine's forms; a dict with a status is VDSM's own answer.


def create(xml, memory=None):
    """Start a VM or, with a memory, resume it from a suspend or restore it from a snapshot."""
    volumes = {'hiberVolHandle': files(memory)} if memory else {}
    answer = API.VM(None).create({'xml': xml, **volumes})
    return answer if answer['status']['code'] else state_of(answer['vmList']['vmId'])


def recover(vm_id):
    """Take over the VMs that run on the host. Returns that one's state."""
    recovery.all_domains(cif)
    return state_of(vm_id)


def update(vm_id, xml):
    return API.VM(vm_id).updateDevice({'deviceType': 'interface', 'xml': xml})


def plug(vm_id, xml):
    return API.VM(vm_id).hotplugNic({'vmId': vm_id, 'xml': xml})


def unplug(vm_id, xml):
    return API.VM(vm_id).hotunplugNic({'vmId': vm_id, 'xml': xml})


def stop(vm_id):
    API.VM(vm_id).destroy()
    wait_for_end(vm_id)


def suspend(vm_id, memory):
    API.VM(vm_id).hibernate(files(memory))
    wait_for_end(vm_id)
    return state_of(vm_id)


def wait_for_end(vm_id):
    """Wait until libvirt says that a VM has stopped: VDSM would take that for the end of the next one."""
    # Some libvirts keep the event until something else goes through the connection.
    for _ in range(60):
        with contextlib.suppress(queue.Empty):
            while cif.stopped.get(timeout=1) != vm_id:
                pass
            return
        libvirtconnection.get(cif).getLibVersion()
    raise TimeoutError('libvirt does not say that the VM has stopped')


def snapshot(vm_id, memory):
    """Take a snapshot with memory; the VM runs on."""
    job = str(uuid.uuid4())
    API.VM(vm_id).snapshot([], files(memory), jobUUID=job, timeout=1)
    wait_for(lambda: not jobs.get(job).active)


def expect(xml):
    """Prepare for a VM that migrates here, with its XML from the source."""
    vm = API.VM(None)
    answer = vm.migrationCreate({'xml': xml, '_srcDomXML': xml, 'migrationDest': 'libvirt'})
    if answer['status']['code']:
        vm.destroy()  # as the source's VDSM does
    return answer


def arrived(vm_id):
    cif.vmContainer[vm_id]._incoming_migration_completed()
    return state_of(vm_id)


def main():
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    hooks.P_VDSM_HOOKS = sys.argv[1] + '/'
    jobs.start(mock.MagicMock(), cif)
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
