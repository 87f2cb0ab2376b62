# SPDX-License-Identifier: GPL-2.0-or-later
"""
Machines with a VIC: QEMU's, which run a kernel with its enic driver, libvirtd and the hook.

A machine's root is an image of this one's (see root.py), below a layer in its memory. A folder that all
share has what the tests and the machines exchange. The tests talk to a machine's libvirtd and command
server by ports of 127.0.0.1, which should be that of a network namespace.
"""

import contextlib
import glob
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import uuid
import xmlrpc.client
from unittest import mock

import libvirt

from tests.hook import TESTS
from tests.lab.guest import make_initrd
from tests.lab.hosts import CACHE, LIBVIRTD_CONF, NAMES, QEMU_CONF
from tests.lab.wait import wait_for
from tests.vdsm_runner import PLAIN, call_hook
from tests.vic.command_server import PORT
from tests.vic.root import PACKAGES, find, list_files, make_squashfs

LIBVIRT_PORT, MIGRATION_PORT = 16509, 49152
BY_TCP = 'listen_tls = 0\nlisten_tcp = 1\nauth_tcp = "none"\n'
ENVIRONMENT = {'PATH': '/usr/sbin:/usr/bin', 'LANG': 'C.UTF-8'}
# On a busy machine the timer's check fails. EL9's kernel does not boot without random numbers from the CPU.
CMDLINE = 'console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable no_timer_check random.trust_cpu=on'
# What EL's kernels have as well, but no 9p.
MODULES = ('virtio_pci', 'virtio_blk', 'squashfs', 'overlay', 'virtiofs')
VIRTIOFSD = '/usr/libexec/virtiofsd'
# A machine's first process, from its initramfs: makes the root, and goes there.
INIT = """\
#!/bin/busybox sh
set -e
/bin/busybox --install -s /bin
mkdir /lower /layer /new
mount -t devtmpfs dev /dev
for module in /modules/*; do insmod $module; done
mount -t squashfs -o ro /dev/vda /lower
mount -t tmpfs layer /layer
mkdir /layer/upper /layer/work
mount -t overlay -o lowerdir=/lower,upperdir=/layer/upper,workdir=/layer/work root /new
mount --move /dev /new/dev
mkdir -p /new{shared}
mount -t virtiofs shared /new{shared}
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
cp {folder}/libvirtd.conf {folder}/qemu.conf /etc/libvirt
echo {name} > /proc/sys/kernel/hostname
for pf in /sys/bus/pci/devices/*/sriov_drivers_autoprobe; do [ ! -e $pf ] || echo 0 > $pf; done
modprobe -a virtio_net enic macvtap tun bridge
python3 {shared}/tests/vic/bind_vfs.py
for nic in lo eth0 eth1; do ip link set $nic up; done
ip address add 10.0.2.15/24 dev eth0
ip link add ovirtmgmt type bridge
ip link set ovirtmgmt up
python3 {shared}/tests/vic/command_server.py &
exec env --ignore-signal=CHLD sleep infinity
"""


def has_vfio_user():
    """Tell whether QEMU can have devices that other processes serve."""
    return '"vfio-user-pci"' in subprocess.check_output(['qemu-system-x86_64', '-device', 'help'], text=True)


def find_kernel():
    """Return the path of $KERNEL, or of the newest kernel, if there is the driver for it, otherwise None."""
    drivers = glob.glob('/lib/modules/*/kernel/drivers/net/ethernet/cisco/enic/enic.ko*')
    kernels = ['/boot/vmlinuz-' + driver.split('/')[3] for driver in sorted(drivers, reverse=True)]
    kernels = [kernel for kernel in kernels if os.path.exists(kernel)]
    return next((kernel for kernel in kernels if kernel == os.environ.get('KERNEL', kernel)), None)


def fill_shared(shared, kernel, hooks, library):
    """Put into the folder that machines share what they need to run that kernel, the hook and libvirtd."""
    modules = find('/lib/modules/' + kernel.partition('vmlinuz-')[2])
    make_squashfs(
        os.path.join(shared, 'root'), [*list_files(*PACKAGES), *modules, *glob.glob('/boot/vmlinuz-*')]
    )
    shutil.copytree(TESTS, os.path.join(shared, 'tests'))
    shutil.copytree(hooks, os.path.join(shared, 'hooks'), symlinks=True)
    shutil.copy(library, os.path.join(shared, 'library.so'))


class Machine:
    """
    A host with vNICs, the first of which is its own. Their driver calls them eth1, eth2, ...; VFs come last.

    To the lab's VMs it is a host as those of tests/lab/hosts.py. Its files are in a new folder below
    shared, which fill_shared has filled. Ends with the block.
    """

    def __init__(self, name, shared, kernel, vnics):
        self.name = name
        self.shared = shared
        self.folder = os.path.join(shared, name)
        self.kernel = kernel
        self.vnics = vnics
        vfs = [vf for vnic in vnics for vf in vnic.vfs]
        self.nics = {f'eth{number}': vnic for number, vnic in enumerate([*vnics, *vfs], 1)}
        self.number = NAMES.index(name)
        # Its network is QEMU's own, where 10.0.2.2 is this machine.
        self.migration_uri = f'tcp://10.0.2.2:{MIGRATION_PORT + self.number}'
        self.url = f'http://127.0.0.1:{PORT + self.number}'
        self.conn = None
        self._processes = []

    def __enter__(self):
        """Start to boot: see wait_until_up."""
        os.mkdir(self.folder)
        self._write('libvirtd.conf', LIBVIRTD_CONF.format(uuid.uuid4()) + BY_TCP)
        self._write('qemu.conf', QEMU_CONF)
        start = self._write('start', START.format(name=self.name, shared=self.shared, folder=self.folder))
        init = INIT.format(shared=self.shared, start=start)
        initrd = make_initrd(self.folder, self.kernel, init, MODULES)
        socket = os.path.join(self.folder, 'virtiofs')
        folder = ['--shared-dir', self.shared, '--cache=never', '--allow-mmap']
        self._start(VIRTIOFSD, '--sandbox=none', '--socket-path', socket, *folder)
        wait_for(lambda: os.path.exists(socket))
        self._start(*self._qemu(initrd), *self._devices(socket))
        return self

    def _start(self, *command):
        command = ['setpriv', '--pdeathsig', 'KILL', *command]
        pipes = dict(stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self._processes.append(subprocess.Popen(command, text=True, **pipes))

    def _qemu(self, initrd):
        return [
            *('qemu-system-x86_64', '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'),
            *('-machine', 'q35,memory-backend=memory', '-cpu', 'max,svm=off', '-smp', '2', '-m', '1G'),
            *('-object', 'memory-backend-memfd,id=memory,size=1G,share=on'),
            *('-kernel', self.kernel, '-initrd', initrd, '-append', CMDLINE),
            *('-serial', 'stdio'),
        ]

    def _devices(self, virtiofs):
        forwarded = {
            PORT + self.number: PORT,
            LIBVIRT_PORT + self.number: LIBVIRT_PORT,
            MIGRATION_PORT + self.number: MIGRATION_PORT + self.number,
        }
        forward = ''.join(f',hostfwd=tcp:127.0.0.1:{port}-:{to}' for port, to in forwarded.items())
        devices = ['virtio-blk-pci,drive=root', 'vhost-user-fs-pci,chardev=shared,tag=shared']
        devices.append('virtio-net-pci,netdev=net,romfile=')
        for slot, vnic in enumerate(self.vnics, 0x10):
            for function, each in enumerate([vnic, *vnic.vfs]):
                socket = {'type': 'unix', 'path': each.path}
                device = {'driver': 'vfio-user-pci', 'socket': socket, 'addr': f'{slot:x}.{function}'}
                devices.append(json.dumps({**device, 'multifunction': bool(vnic.vfs)}))
        return [
            *('-drive', f'if=none,id=root,format=raw,readonly=on,file={self.shared}/root'),
            *('-chardev', f'socket,id=shared,path={virtiofs}'),
            *('-netdev', 'user,id=net' + forward),
            *(argument for device in devices for argument in ('-device', device)),
        ]

    def wait_until_up(self):
        console = []
        for line in self._processes[-1].stdout:
            if line.endswith('ready\n'):
                return
            console.append(line)
        raise RuntimeError(f'{self.name} does not boot:\n' + ''.join(console))

    def __exit__(self, *exc):
        if self.conn:
            with contextlib.suppress(libvirt.libvirtError):
                self.conn.close()
        for process in reversed(self._processes):
            process.kill()
            process.communicate()

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
        command = [sys.executable, os.path.join(TESTS, 'vic', 'run_there.py'), self.url]
        custom = {} if vmfex is None else {'vmfex': vmfex}
        hooks, vdsm = os.path.join(self.shared, 'hooks'), PLAIN.replace(TESTS, self.shared + '/tests')
        with mock.patch.object(tempfile, 'tempdir', self.shared):  # where the XML is
            return call_hook(os.path.join(hooks, point), xml, custom, vm_id, command, vdsm)

    def start_libvirtd(self, library=True):
        """Start libvirtd, with its library or without, and connect to it."""
        # It need not ask QEMU what that can do: a host of the lab, which is many times faster, did.
        self.run('sh', '-c', f'mkdir -p {CACHE}; cp -r {self.shared}/capabilities/. {CACHE}')
        env = {'LD_PRELOAD': f'{self.shared}/library.so'} if library else {}
        self.run('libvirtd', '--daemon', '--listen', **env)
        self.conn = libvirt.open(f'qemu+tcp://127.0.0.1:{LIBVIRT_PORT + self.number}/system')

    def stop_libvirtd(self):
        self.conn.close()
        self.run('sh', '-c', 'pid=$(cat /run/libvirtd.pid); kill $pid; tail -f --pid=$pid /dev/null')
