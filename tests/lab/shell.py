# SPDX-License-Identifier: GPL-2.0-or-later
"""make lab: a shell in a running lab, with KIND=vfs one of SR-IOV hosts."""

import contextlib
import os
import readline  # noqa: F401 (it gives input() a history)
import subprocess
import tempfile

import libvirt

from tests.hook import HOOK, HOOKS
from tests.lab.fabric import compile_fabric
from tests.lab.hosts import VNICS, make_lab
from tests.lab.vm import VM
from tests.vdsm_runner import HookError
from tests.xml_builders import engine_nic_xml

INTRO = """
Two hosts, alpha (eth3 to eth11) and beta (eth13 to eth21), on a fabric. Try:

  vm start 1 alpha              a VM with four NICs; those in its dictionary go to VM-FEX
  alpha virsh list              any command, on a host
  alpha virsh net-dumpxml direct-pool
  vm migrate 1 alpha beta       live; beta's pool is made first
  vm link 1 beta down           as the engine's "unwired"; also: up
  vm plug 1 beta                a fifth NIC, with port profile Plugged
  vm suspend 1 beta             its memory goes to a file; then perhaps
  beta virsh net-destroy direct-pool
  vm resume 1 beta              the pool is made anew first
  vm stop 1 beta
  cat $FABRIC/log               what the fabric was asked for
  echo Profile2 > $FABRIC/refuse      refuse a port profile; rm it to accept again
  echo 0x0043 > $ALPHA/eth5/device/device      eth5 of alpha is an ordinary vNIC now
  less $HOOK $HOOKS/vmfex/*     the hook; the hosts run it from there, so edit it and go on

The hooks run as VDSM runs them. Other lines are for bash, each for a new one. exit ends all.
"""


def run_vm(vms, hosts, action, number, host, more=''):
    """Do what a line that begins with vm says. Returns the hook's log."""
    vm, host = vms[number], hosts[host]
    if action == 'link':
        return vm.update(host, engine_nic_xml(vm.macs[0], link=more))
    if action == 'plug':
        mac = vm.macs[0][:-2] + '99'
        vm.add_profile(mac, 'Plugged')
        return vm.plug(host, mac)
    if action == 'migrate':
        return vm.migrate(host, hosts[more])
    return {'start': vm.start, 'suspend': vm.suspend, 'resume': vm.resume, 'stop': vm.stop}[action](host)


def answer(vms, hosts, words):
    try:
        return run_vm(vms, hosts, *words) or 'done'
    except (HookError, libvirt.libvirtError) as e:
        return f'{type(e).__name__}: {e}'
    except (KeyError, TypeError):
        return (
            'usage: vm start|suspend|resume|stop|plug N HOST, vm migrate N HOST HOST, vm link N HOST up|down'
        )


def main():
    libvirt.registerErrorHandler(lambda context, error: None, None)
    with tempfile.TemporaryDirectory(prefix='vmfex-lab-') as tmp:
        compile_fabric(tmp + '/fabric.so')
        with make_lab(tmp, tmp + '/fabric.so', HOOKS, os.environ.get('KIND') or VNICS) as hosts:
            vms = {str(number): VM(number) for number in range(1, 256)}
            env = dict(os.environ, HOOK=HOOK, HOOKS=HOOKS, FABRIC=tmp + '/fabric')
            env.update((name.upper(), host.sysfs.class_net) for name, host in hosts.items())
            functions = [f'{name}() {{ {" ".join(host.command())} "$@"; }}\n' for name, host in hosts.items()]
            print(INTRO, flush=True)
            with contextlib.suppress(EOFError):
                serve(vms, hosts, env, ''.join(functions))


def serve(vms, hosts, env, functions):
    while True:
        try:
            line = input('lab# ')
            words = line.split() or ['']
            if words[0] == 'exit':
                return
            if words[0] == 'vm':
                print(answer(vms, hosts, words[1:]).rstrip(), flush=True)
            else:
                subprocess.run(['bash', '-c', functions + line], env=env)
        except KeyboardInterrupt:
            print()


if __name__ == '__main__':
    main()
