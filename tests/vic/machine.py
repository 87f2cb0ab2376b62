# SPDX-License-Identifier: GPL-2.0-or-later
"""
Machines with a VIC: QEMU's, which run Debian's kernel with its enic driver, libvirtd and the hook.

A machine's root is this one's, read-only by 9p, below a layer in its memory. The tests talk to its
libvirtd and its command server by ports of 127.0.0.1, which should be that of a network namespace.
"""

import contextlib
import glob
import json
import os
import shlex
import subprocess
import sys
import tempfile
import uuid
import xmlrpc.client
from unittest import mock

import libvirt

from tests.lab.guest import make_initrd
from tests.lab.hosts import CACHE, LIBVIRTD_CONF, NAMES, QEMU_CONF
from tests.vdsm_runner import PLAIN, call_hook
from tests.vic.command_server import PORT

HERE = os.path.dirname(os.path.abspath(__file__))
LIBVIRT_PORT, MIGRATION_PORT = 16509, 49152
BY_TCP = 'listen_tls = 0\nlisten_tcp = 1\nauth_tcp = "none"\n'
ENVIRONMENT = {'PATH': '/usr/sbin:/usr/bin', 'LANG': 'C.UTF-8'}
CMDLINE = 'console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable'
# A machine's first process, from its initramfs: makes the root, and goes there.
INIT = """\
#!/bin/busybox sh
set -e
/bin/busybox --install -s /bin
mkdir /lower /layer /new
mount -t devtmpfs dev /dev
for module in /modules/*; do insmod $module; done
mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose root /lower
mount -t tmpfs layer /layer
mkdir /layer/upper /layer/work
mount -t overlay -o lowerdir=/lower,upperdir=/layer/upper,workdir=/layer/work root /new
mount --move /dev /new/dev
exec switch_root /new /bin/sh {start}
"""
# Then, in the root. shared is a folder that is the same there and here.
START = """\
set -e
export PATH=/usr/sbin:/usr/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mkdir /dev/shm
for folder in /dev/shm /run /etc/libvirt /var/lib/libvirt /var/cache/libvirt; do
    mount -t tmpfs tmpfs $folder
done
mkdir /run/vdsm
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=none shared {shared}
cp {folder}/libvirtd.conf {folder}/qemu.conf /etc/libvirt
echo {name} > /proc/sys/kernel/hostname
modprobe -a virtio_net enic macvtap tun bridge
ip link set lo up
ip link set eth0 up
ip address add 10.0.2.15/24 dev eth0
ip link add ovirtmgmt type bridge
ip link set ovirtmgmt up
python3 {server} &
exec env --ignore-signal=CHLD sleep infinity
"""


def has_vfio_user():
    """Tell whether QEMU can have devices that other processes serve."""
    return '"vfio-user-pci"' in subprocess.check_output(['qemu-system-x86_64', '-device', 'help'], text=True)


def find_kernel():
    """Return the path of Debian's kernel that has the driver (the cloud kernel has not), None without one."""
    drivers = glob.glob('/lib/modules/*/kernel/drivers/net/ethernet/cisco/enic/enic.ko*')
    kernels = ['/boot/vmlinuz-' + driver.split('/')[3] for driver in sorted(drivers)]
    return next((kernel for kernel in reversed(kernels) if os.path.exists(kernel)), None)


class Machine:
    """
    A host with vNICs, the first of which is its own. Their driver calls them eth1, eth2, ...

    To the lab's VMs it is a host as those of tests/lab/hosts.py. Its files are in a new folder below
    shared. Ends with the block.
    """

    def __init__(self, name, shared, vnics, hooks):
        self.name = name
        self.shared = shared
        self.folder = os.path.join(shared, name)
        self.nics = {f'eth{number}': vnic for number, vnic in enumerate(vnics, 1)}
        self.hooks = hooks
        self.number = NAMES.index(name)
        # Its network is QEMU's own, where 10.0.2.2 is this machine.
        self.migration_uri = f'tcp://10.0.2.2:{MIGRATION_PORT + self.number}'
        self.url = f'http://127.0.0.1:{PORT + self.number}'
        self.capabilities = os.path.join(shared, 'capabilities')
        self.conn = None

    def __enter__(self):
        """Start to boot: see wait_until_up."""
        os.mkdir(self.folder)
        self._write('libvirtd.conf', LIBVIRTD_CONF.format(uuid.uuid4()) + BY_TCP)
        self._write('qemu.conf', QEMU_CONF)
        server = os.path.join(HERE, 'command_server.py')
        start = START.format(name=self.name, shared=self.shared, folder=self.folder, server=server)
        init = INIT.format(start=self._write('start', start))
        kernel = find_kernel()
        initrd = make_initrd(self.folder, kernel, init, ('9pnet_virtio', '9p', 'overlay'))
        self.qemu = subprocess.Popen(
            [*self._qemu(kernel, initrd), *self._devices()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return self

    def _qemu(self, kernel, initrd):
        return [
            *('qemu-system-x86_64', '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'),
            *('-machine', 'q35,memory-backend=memory', '-cpu', 'max,svm=off', '-smp', '2', '-m', '1G'),
            *('-object', 'memory-backend-memfd,id=memory,size=1G,share=on'),
            *('-kernel', kernel, '-initrd', initrd, '-append', CMDLINE),
            *('-serial', 'stdio'),
        ]

    def _devices(self):
        forwarded = {
            PORT + self.number: PORT,
            LIBVIRT_PORT + self.number: LIBVIRT_PORT,
            MIGRATION_PORT + self.number: MIGRATION_PORT + self.number,
        }
        forward = ''.join(f',hostfwd=tcp:127.0.0.1:{port}-:{to}' for port, to in forwarded.items())
        devices = ['virtio-9p-pci,fsdev=root,mount_tag=root', 'virtio-9p-pci,fsdev=shared,mount_tag=shared']
        devices.append('virtio-net-pci,netdev=net,romfile=')
        for slot, vnic in enumerate(self.nics.values(), 0x10):
            socket = {'type': 'unix', 'path': vnic.path}
            devices.append(json.dumps({'driver': 'vfio-user-pci', 'socket': socket, 'addr': hex(slot)}))
        return [
            *('-fsdev', 'local,id=root,path=/,security_model=none,readonly=on,multidevs=remap'),
            *('-fsdev', f'local,id=shared,path={self.shared},security_model=none'),
            *('-netdev', 'user,id=net' + forward),
            *(argument for device in devices for argument in ('-device', device)),
        ]

    def wait_until_up(self):
        console = []
        for line in self.qemu.stdout:
            if line.endswith('ready\n'):
                return
            console.append(line)
        raise RuntimeError(f'{self.name} does not boot:\n' + ''.join(console))

    def __exit__(self, *exc):
        if self.conn:
            with contextlib.suppress(libvirt.libvirtError):
                self.conn.close()
        self.qemu.kill()
        self.qemu.wait()
        self.qemu.stdout.close()

    def _write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, 'w') as f:
            f.write(text)
        return path

    def run(self, *argv, **env):
        """Run a command on the machine. Returns its output."""
        status, out, err = xmlrpc.client.ServerProxy(self.url).run(argv, {**ENVIRONMENT, **env})
        if status:
            raise RuntimeError(f'{self.name}: {shlex.join(argv)}: {out}{err}')
        return out

    def hook(self, point, xml, vmfex=None, vm_id=None):
        """Run the hook at a hook point as VDSM does. Returns the XML and the log."""
        command = [sys.executable, os.path.join(HERE, 'run_there.py'), self.url]
        custom = {} if vmfex is None else {'vmfex': vmfex}
        with mock.patch.object(tempfile, 'tempdir', self.shared):  # where the XML is
            return call_hook(os.path.join(self.hooks, point), xml, custom, vm_id, command, PLAIN)

    def start_libvirtd(self, **env):
        """Start libvirtd with that in its environment, and connect to it."""
        # It need not ask QEMU what that can do: a host of the lab, which is many times faster, did.
        self.run('sh', '-c', f'mkdir -p {CACHE}; cp -r {self.capabilities}/. {CACHE}')
        self.run('libvirtd', '--daemon', '--listen', **env)
        self.conn = libvirt.open(f'qemu+tcp://127.0.0.1:{LIBVIRT_PORT + self.number}/system')

    def stop_libvirtd(self):
        self.conn.close()
        self.run('sh', '-c', 'pid=$(cat /run/libvirtd.pid); kill $pid; tail -f --pid=$pid /dev/null')
