# SPDX-License-Identifier: GPL-2.0-or-later
"""make lab: a shell in a running lab, with KIND=vfs one of SR-IOV hosts. Its command vm comes back here,
through a socket.
"""

import contextlib
import json
import os
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading

from tests.hook import HOOK, HOOKS, TREE

INTRO = """
Two hosts, alpha (eth3 to eth11) and beta (eth13 to eth21), on a fabric. Try:

  vm start 1 alpha              a VM with four NICs; those in its dictionary go to VM-FEX
  alpha virsh list              any command, on a host
  alpha virsh net-dumpxml direct-pool
  alpha virsh dumpxml vm1
  vm migrate 1 alpha beta       live; beta's pool is made first
  vm link 1 beta down           as the engine's "unwired"; also: up
  vm plug 1 beta                a fifth NIC, with port profile Plugged
  vm suspend 1 beta             its memory goes to a file; then perhaps
  beta virsh net-destroy direct-pool
  vm resume 1 beta              the pool is made anew first
  vm stop 1 beta
  cat $FABRIC/log               what the fabric was asked for
  echo Profile2 > $FABRIC/refuse      refuse a port profile; rm it to accept again
  echo 5 > $FABRIC/slow               take 5 seconds for each
  echo 0x0043 > $ALPHA/eth5/device/device      eth5 of alpha is an ordinary vNIC now
  less $HOOK $HOOKS/vmfex/*     the hook; the hosts run it from there, so edit it and go on

The hooks run as VDSM runs them. exit ends all.
"""


class Commands:
    """What the command vm can do. Each returns the hook's log."""

    def __init__(self, hosts):
        self.hosts = hosts
        self.vms = {}

    def vm(self, number):
        from tests.lab.vm import VM

        if number not in self.vms:
            self.vms[number] = VM(int(number))
            mac = '00:1a:4a:16:{:02x}:99'.format(int(number))
            self.vms[number].add_profile(mac, 'Plugged')
        return self.vms[number]

    def start(self, number, host):
        return self.vm(number).start(self.hosts[host])

    def migrate(self, number, source, destination):
        return self.vm(number).migrate(self.hosts[source], self.hosts[destination])

    def suspend(self, number, host):
        self.vm(number).suspend(self.hosts[host])

    def resume(self, number, host):
        return self.vm(number).resume(self.hosts[host])

    def stop(self, number, host):
        self.vm(number).stop(self.hosts[host])

    def link(self, number, host, state):
        from tests.xml_builders import engine_nic_xml

        vm = self.vm(number)
        return vm.update(self.hosts[host], engine_nic_xml(vm.macs[0], link=state))

    def plug(self, number, host):
        vm = self.vm(number)
        return vm.plug(self.hosts[host], list(vm.profiles)[-1])


def answer(commands, request):
    import libvirt

    from tests.vdsm_runner import HookError

    try:
        name, *args = request
        return getattr(commands, name)(*args) or ''
    except (HookError, libvirt.libvirtError) as e:
        return '{}: {}'.format(type(e).__name__, e)
    except (ValueError, AttributeError, TypeError, KeyError):
        return (
            'usage: vm start|suspend|resume|stop|plug N HOST, vm migrate N HOST HOST, vm link N HOST up|down'
        )


def serve(path, commands):
    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            self.wfile.write(answer(commands, json.loads(self.rfile.readline())).encode())

    server = socketserver.UnixStreamServer(path, Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def ask(path, request):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        client.sendall(json.dumps(request).encode() + b'\n')
        text = b''.join(iter(lambda: client.recv(65536), b'')).decode().rstrip()
    print(text or 'done')


def write_script(path, text):
    with open(path, 'w') as f:
        f.write('#!/bin/sh\n' + text + '\n')
    os.chmod(path, 0o755)


def main():
    import libvirt

    from tests.lab.fabric import compile_fabric
    from tests.lab.hosts import VNICS, make_lab

    libvirt.registerErrorHandler(lambda context, error: None, None)
    with tempfile.TemporaryDirectory(prefix='vmfex-lab-') as tmp:
        library, bin_ = os.path.join(tmp, 'fabric.so'), os.path.join(tmp, 'bin')
        compile_fabric(library)
        os.mkdir(bin_)
        with make_lab(tmp, library, HOOKS, os.environ.get('KIND') or VNICS) as hosts:
            serve(os.path.join(tmp, 'socket'), Commands(hosts))
            write_script(
                bin_ + '/vm',
                'PYTHONPATH="{}" exec "{}" -m tests.lab.shell "{}" "$@"'.format(
                    TREE, sys.executable, os.path.join(tmp, 'socket')
                ),
            )
            env = dict(
                os.environ,
                PATH=bin_ + ':' + os.environ['PATH'],
                HOOK=HOOK,
                HOOKS=HOOKS,
                FABRIC=os.path.join(tmp, 'fabric'),
            )
            for name, host in hosts.items():
                write_script(os.path.join(bin_, name), 'exec {} "$@"'.format(' '.join(host.command())))
                env[name.upper()] = host.sysfs.class_net
            with open(os.path.join(tmp, 'rc'), 'w') as rc:
                rc.write("PS1='lab# '\n")
            print(INTRO, flush=True)
            with contextlib.suppress(KeyboardInterrupt):
                subprocess.run(['bash', '--noprofile', '--rcfile', rc.name], env=env, check=False)


if __name__ == '__main__':
    if len(sys.argv) > 1:
        ask(sys.argv[1], sys.argv[2:])
    else:
        main()
