# SPDX-License-Identifier: GPL-2.0-or-later
"""make lab: Python's prompt in a running lab, with KIND=vfs one of SR-IOV hosts."""

import code
import os
import readline  # noqa: F401 (it gives the prompt a history)
import sys
import tempfile

import libvirt

from tests.hook import HOOKS
from tests.lab.fabric import Fabric, compile_fabric
from tests.lab.hosts import NAMES, VNICS, Host
from tests.lab.vm import VM
from tests.xml_builders import PLUGGED, engine_nic_xml

INTRO = f"""
Two hosts, alpha (eth3 to eth11) and beta (eth13 to eth21), on a fabric; this is Python. Try:

  vm[1].start(alpha)                a VM with four NICs; those in its dictionary go to VM-FEX
  alpha.run('virsh', 'list')        any command, on a host
  alpha.run('virsh', 'net-dumpxml', 'direct-pool')
  vm[1].migrate(alpha, beta)        live; beta's pool is made first
  vm[1].update(beta, nic(vm[1].macs[0], link='down'))   as the engine's "unwired"; also: 'up'
  vm[1].add_profile(PLUGGED, 'P')   one more NIC in the dictionary
  vm[1].plug(beta, PLUGGED)
  vm[1].suspend(beta)               its memory goes to a file
  beta.net.destroy()
  vm[1].resume(beta)                the pool is made anew first
  vm[1].stop(beta)
  fabric.requests()                 what the fabric was asked for
  fabric.refuse('Profile2')         refuse a port profile; also: accept
  alpha.sysfs.make_own('eth5')      eth5 is an ordinary vNIC now

The hooks, of {HOOKS},
run as VDSM runs them; edit them and go on. Ctrl-D ends all.
"""


def show(value):
    if value is not None:
        print(value, flush=True)


def main():
    libvirt.registerErrorHandler(lambda context, error: None, None)
    with tempfile.TemporaryDirectory(prefix='vmfex-lab-') as tmp:
        library, fabric, kind = tmp + '/fabric.so', Fabric(tmp + '/fabric'), os.environ.get('KIND') or VNICS
        compile_fabric(library)
        alpha, beta = (Host(name, f'{tmp}/{name}', HOOKS, library, fabric, kind=kind) for name in NAMES[:2])
        with alpha, beta:
            sys.ps1, sys.displayhook = 'lab> ', show
            sys.excepthook = lambda type_, error, traceback: print(f'{type_.__name__}: {error}')
            names = dict(alpha=alpha, beta=beta, fabric=fabric, vm=[VM(number) for number in range(256)])
            code.interact(INTRO, local={**names, 'nic': engine_nic_xml, 'PLUGGED': PLUGGED}, exitmsg='')


if __name__ == '__main__':
    main()
