# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine that boots as hosts do, with systemd and SELinux, which enforces Debian's policy."""

import glob
import os
import shutil
import socket
import subprocess
from pathlib import Path

from tests.hook import TREE, output
from tests.lab.fabric import PORT_PROFILE
from tests.lab.guest import make_initrd
from tests.lab.vm import VM
from tests.vic.command_server import PORT
from tests.vic.machine import CMDLINE, Machine
from tests.vic.root import PACKAGES, find, list_files

SELINUX = ('policycoreutils', 'selinux-policy-default', 'selinux-utils')
NEEDED = (*PACKAGES, *SELINUX, 'e2fsprogs', 'libvirt-clients', 'systemd', 'udev')
# What this machine mounts, starts and defines is its own.
OWN = ('/etc/crypttab', '/etc/fstab', '/etc/libvirt/qemu/', '/etc/systemd/system/')
POLICY = '/etc/selinux/default'
MODULES = ('virtio_pci', 'virtio_blk', 'virtio_net', 'ext4')
# The machine's first process, from its initramfs. systemd loads the policy.
INIT = """\
#!/bin/busybox sh
set -e
/bin/busybox --install -s /bin
mkdir /new
mount -t devtmpfs dev /dev
for module in /modules/*; do insmod $module; done
mount -t ext4 /dev/vda /new
mount --move /dev /new/dev
exec switch_root /new /usr/lib/systemd/systemd
"""
# All denials are logged, and nothing is started that the tests do not need.
ENFORCING = 'security=selinux enforcing=1 sysctl.kernel.printk_ratelimit=0'
FAST = 'net.ifnames=0 systemd.unit=command-server.service systemd.condition_needs_update=no'
UNIT = """\
[Service]
ExecStartPre=ip link set eth0 up
ExecStartPre=ip address add 10.0.2.15/24 dev eth0
ExecStart=/usr/bin/python3 /usr/libexec/command_server.py
StandardOutput=file:/dev/ttyS0
"""


def find_missing():
    """Return the names of the packages that a machine needs and this one does not have."""
    found = output('dpkg-query', '--show', '--showformat', '${db:Status-Status} ${Package}\n').splitlines()
    return [package for package in NEEDED if f'installed {package}' not in found]


def has_deny():
    """Tell whether SELinux' tools know deny rules, as they do from 3.6 on."""
    version = output('dpkg-query', '--show', '--showformat', '${Version}', 'policycoreutils')
    return not subprocess.run(['dpkg', '--compare-versions', version, 'ge', '3.6']).returncode


def make_image(folder, library):
    """Make the image of a machine's root, in that folder. Returns its path."""
    tree = os.path.join(folder, 'tree')
    make_tree(tree)
    make = ['make', '-s', '-C', TREE + '/libvirtd', 'install', 'LIBRARY=' + library, 'DESTDIR=' + tree]
    subprocess.run(make, check=True)
    if has_deny():
        add_policy(folder, tree)
    subprocess.run(['setfiles', '-F', '-r', tree, POLICY + '/contexts/files/file_contexts', tree], check=True)
    image = os.path.join(folder, 'image')
    # What ext4 of a kernel would need more modules for is left out.
    without = '^metadata_csum,^64bit'
    subprocess.run(['mke2fs', '-q', '-t', 'ext4', '-O', without, '-d', tree, image, '1G'], check=True)
    shutil.rmtree(tree)
    return image


def make_tree(tree):
    """Make a folder with all files of the root, but for the library."""
    files = [*list_files(*NEEDED), *find('/var/lib/selinux')]
    names = '\0'.join(path[1:] for path in files if not path.startswith(OWN))
    system = Path(tree, 'etc/systemd/system')
    Path(system, 'libvirtd.service.d').mkdir(parents=True)
    copy = ['cpio', '--quiet', '--null', '--pass-through', '--make-directories', '--unconditional', tree]
    subprocess.run(copy, input=names, text=True, check=True, cwd='/')
    Path(system, 'command-server.service').write_text(UNIT)
    shutil.copy(os.path.join(TREE, 'tests', 'vic', 'command_server.py'), tree + '/usr/libexec')
    # Debian's policy does not let libvirtd read its key (12.8), ask machined (7.0), make namespaces and have
    # BPF maps (9.0).
    for name in 'libvirtd.service.d/10-secret.conf', 'systemd-machined.service':
        Path(system, name).symlink_to('/dev/null')
    Path(tree, 'etc/machine-id').write_text('1' * 32 + '\n')  # not its first boot
    Path(tree, 'etc/libvirt/qemu.conf').write_text('namespaces = []\ncgroup_controllers = []\n')
    Path(tree, 'etc/libvirt/vm.xml').write_text(VM(profiles=(), nics=0).xml)


def add_policy(folder, tree):
    """Add a policy by which libvirtd gets AT_SECURE, see ld.so(8): semodule takes a minute in a machine."""
    [policy], usual = glob.glob(f'{tree}{POLICY}/policy/*'), os.path.join(folder, 'policy')
    module = Path(folder, 'at_secure.cil')
    module.write_text('(deny init_t virtd_t (process (noatsecure)))')
    shutil.copy(policy, usual)
    subprocess.run(['semodule', '--path', tree, '--noreload', '--install', module], check=True)
    shutil.move(policy, f'{tree}{POLICY}/at_secure')
    shutil.move(usual, policy)


class SystemdMachine(Machine):
    """A machine without vNICs that boots from an image; its files are in a new folder below another one."""

    def __init__(self, folder, kernel, image):
        super().__init__('alpha', folder, kernel, [])
        self.image = image
        self.library = output('pkg-config', '--variable=libdir', 'libnl-3.0').strip() + '/' + PORT_PROFILE
        with socket.create_server(('127.0.0.1', 0)) as server:  # a free port
            self.port = server.getsockname()[1]
        self.url = f'http://127.0.0.1:{self.port}'

    def __enter__(self):
        os.mkdir(self.folder)
        initrd = make_initrd(self.folder, self.kernel, INIT, MODULES)
        self._start(
            *('qemu-system-x86_64', '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'),
            # Debian 12's QEMU can't run all that Debian 13's kernel makes of -cpu max.
            *('-machine', 'q35', '-cpu', 'Nehalem', '-smp', '2', '-m', '1G', '-serial', 'stdio'),
            *('-kernel', self.kernel, '-initrd', initrd, '-append', f'{CMDLINE} {ENFORCING} {FAST}'),
            *('-drive', f'if=none,id=root,format=raw,file={self.image}'),
            *('-netdev', f'user,id=net,hostfwd=tcp:127.0.0.1:{self.port}-:{PORT}'),
            *('-device', 'virtio-blk-pci,drive=root', '-device', 'virtio-net-pci,netdev=net,romfile='),
        )
        return self

    def restart_libvirtd(self):
        """Restart libvirtd by its unit. Returns it, a Process."""
        self.run('systemctl', 'restart', 'libvirtd')
        self.run('virsh', 'uri')  # Until it answers, its next stop may take half a minute.
        return Process(self, self.run('systemctl', 'show', '--property', 'MainPID', '--value', 'libvirtd'))

    def start_vm(self):
        """Start a VM. Returns its QEMU, a Process."""
        self.run('virsh', 'create', '/etc/libvirt/vm.xml')
        return Process(self, self.run('cat', '/run/libvirt/qemu/vm0.pid'))


class Process:
    """What the kernel knows of a machine's process."""

    def __init__(self, machine, pid):
        def read(name):
            return machine.run('sh', '-c', f'tr "\\0" "\\n" < /proc/{self.pid}/{name}')

        self.pid = pid.strip()
        self.context = read('attr/current').strip()
        self.environment = dict(line.partition('=')[::2] for line in read('environ').splitlines())
        self.has_library = PORT_PROFILE in read('maps')
        vector = machine.run('od', '-v', '-A', 'n', '-t', 'u8', '-w16', f'/proc/{self.pid}/auxv')
        self.at_secure = dict(line.split() for line in vector.splitlines())['23'] == '1'
