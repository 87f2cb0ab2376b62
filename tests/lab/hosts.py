# SPDX-License-Identifier: GPL-2.0-or-later
"""
Hosts on one machine, each with namespaces, NICs and a libvirtd of its own.

A host lives as long as its first process, which ends when its stdin is closed: also when the
process that made it is killed. All its processes end with it, as they share its PID namespace.
"""

import atexit
import os
import shlex
import shutil
import socket
import subprocess
import tempfile
import uuid
from pathlib import Path
from xml.etree import ElementTree

import libvirt

from tests.hook import output
from tests.lab.fabric import PORT_PROFILE
from tests.lab.sysfs import DYNAMIC_VNIC, VF, VNIC, Sysfs
from tests.lab.vm import VM
from tests.messages import check_stderr
from tests.vdsm_runner import call_hook, find_vdsm, hook_environment
from tests.xml_builders import network_xml

# The NICs have other names on each host: eth3 to eth11, eth13 to eth21, ...
NAMES = ('alpha', 'beta', 'gamma', 'delta')
ALPHA = [f'eth{i}' for i in range(3, 12)]
# The kinds of hosts: their pool's NICs are dynamic vNICs, or SR-IOV VFs, of these PFs in turn. Their
# kernel has checks A and B (see fabric.c), as EL10's, or A and C, as EL9's up to 9.4.
VNICS, VFS, EL9_VNICS, EL9_VFS = 'vnics', 'vfs', 'el9-vnics', 'el9-vfs'
PFS = ('enp6s0f0', 'enp6s0f1')
# What libvirtd found out about QEMU, on the first host: as on real hosts, the others need not ask again.
CACHE, CAPABILITIES = '/var/cache/libvirt/qemu', []
IDLE = '02:00:00:00:00:00'  # the MAC that the lab's VM-FEX NICs have until a VM comes, and after it
# Each host has its own of these.
FOLDERS = ('/etc/libvirt', '/var/lib/libvirt', '/var/cache/libvirt', '/var/log/libvirt', '/run')

LIBVIRTD_CONF = """\
auth_unix_rw = "none"
host_uuid = "{}"
log_outputs = "3:file:/var/log/libvirt/libvirtd.log"
"""
# Nothing of the machine's: no cgroups, no security labels, no other users, no virtlogd.
QEMU_CONF = """\
user = "root"
group = "root"
security_driver = "none"
dynamic_ownership = 0
remember_owner = 0
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
"""
# The host's first process, to which it does not matter what becomes of its children.
INIT = """\
set -e
read -r pid _ < /proc/self/stat; echo "$pid"  # the machine's number of it, as long as /proc is the machine's
mount --make-rprivate /
mount -t proc proc /proc
mount -t sysfs sysfs /sys
hostname {name}
{binds}
mkdir -p /run/vdsm
ip link set lo up
ip link add ovirtmgmt type bridge; ip link set ovirtmgmt up
echo ready
exec env --ignore-signal=CHLD cat
"""


class Host:
    """
    A host with its NICs, of which those in pool are VM-FEX NICs: that has their names, if not the usual ones.

    name is one of NAMES. folder is a new folder for all its files, hooks is the one that holds the hook
    points, library is that of the fabric (see compile_fabric). kind is one of the kinds above; checks are
    those of the kernel, and port_profile tells whether libvirtd has the library.
    """

    def __init__(self, name, folder, hooks, library, fabric, pool=None, kind=VNICS):
        self.name = name
        self.folder = folder
        self.library = library
        self.fabric = fabric
        self.number = NAMES.index(name)
        self.hooks = hooks
        self.vdsm = find_vdsm()
        self.pool = list(pool or (f'eth{10 * self.number + i}' for i in range(3, 12)))
        self.pfs = list(PFS) if kind in (VFS, EL9_VFS) else []
        self.migration_uri = 'unix://' + self.path('/run/migration')
        self.checks = 'AC' if kind in (EL9_VNICS, EL9_VFS) else 'AB'
        self.port_profile = True
        self.conn = None  # a connection to its libvirt

    def path(self, path):
        """Return where, on the machine, that absolute path of the host is."""
        return os.path.join(self.folder, path[1:])

    def __enter__(self):
        for folder in FOLDERS:
            os.makedirs(self.path(folder))
        if CAPABILITIES:
            shutil.copytree(CAPABILITIES[0], self.path(CACHE))
        Path(self.path('/etc/libvirt/libvirtd.conf')).write_text(LIBVIRTD_CONF.format(uuid.uuid4()))
        Path(self.path('/etc/libvirt/qemu.conf')).write_text(QEMU_CONF)
        binds = [f'mount --bind {shlex.quote(self.path(folder))} {folder}' for folder in FOLDERS]
        init = INIT.format(name=self.name, binds='\n'.join(binds))
        unshare = ['unshare', '--net', '--mount', '--uts', '--pid', '--fork', '--kill-child']
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._init = subprocess.Popen([*unshare, 'sh', '-c', init], start_new_session=True, **pipes)
        self.pid = self._init.stdout.readline().strip()
        if self._init.stdout.readline() != 'ready\n':
            raise RuntimeError(f'{self.name}: no namespaces')
        self._boot('eth0')
        return self

    def _boot(self, *own):
        """Give the host NICs, some of its own among them, and libvirtd."""
        self.sysfs = Sysfs(tempfile.mkdtemp(prefix='sysfs-', dir=self.folder))
        self.add_nics(*self.pool, own=[*own, *self.pfs])
        self.start_libvirtd()

    def __exit__(self, *exc):
        if not CAPABILITIES and os.path.isdir(self.path(CACHE)):
            CAPABILITIES.append(os.path.join(tempfile.mkdtemp(prefix='vmfex-capabilities-'), 'qemu'))
            atexit.register(shutil.rmtree, os.path.dirname(CAPABILITIES[0]))
            shutil.copytree(self.path(CACHE), CAPABILITIES[0])
        self.conn = None  # closed, once nobody has its domains
        self._init.communicate()  # closes its stdin, which ends it, and waits

    # NICs

    def add_nics(self, *nics, own=()):
        """Give the host VM-FEX NICs, and NICs of its own."""
        commands = []
        for number, nic in enumerate([*own, *nics]):
            if nic in own:
                mac, device, pf = f'00:25:b5:00:{self.number:02x}:{number:02x}', VNIC, None
            else:
                pf = min(self.pfs, key=lambda pf: len(self.sysfs.vfs(pf)), default=None)
                mac, device = IDLE, VF if pf else DYNAMIC_VNIC
            self.sysfs.add(nic, device=device, pf=pf)
            # Its folder in sysfs gets the link "device" of ours.
            lower, folder = os.path.join(self.sysfs.class_net, nic), f'/sys/devices/virtual/net/{nic}'
            commands.append(
                f'ip link add {nic} address {mac} type veth peer name {self.peer(nic)}\n'
                f'ip link set {self.peer(nic)} up; ip link set {nic} up\n'
                f'mount -t overlay -o lowerdir={shlex.quote(lower)}:{folder} overlay {folder}'
            )
        self.run('sh', '-ec', '\n'.join(commands))

    def remove_nic(self, nic):
        self.run('ip', 'link', 'del', nic)

    def nic_of(self, port):
        """Return the name of the NIC that the fabric knows as that port: as itself, or as PF/number."""
        pf, _, number = port.partition('/')
        return self.sysfs.vfs(pf)[int(number)] if number else port

    def peer(self, nic):
        """Return the name of the other end of a NIC, which stands for the fabric."""
        return nic + '-fabric'

    def mac(self, nic):
        """Return the MAC that a NIC really has."""
        return self.run('ip', '-o', 'link', 'show', nic).split('link/ether ')[1].split()[0]

    def idle_nics(self):
        """Return the names of those of the host's pool NICs that have no VM's MAC."""
        return [nic for nic in self.pool if self.mac(nic) == IDLE]

    def command(self):
        """Return what to put before a command to run it on this host."""
        return ['nsenter', '--target', self.pid, '--mount', '--net', '--uts', '--pid']

    def run(self, *args):
        """Run a command on the host. Returns its output."""
        return output(*self.command(), *args, stdin=subprocess.DEVNULL)

    def hook(self, point, xml, vmfex=None, vm_id=None, env=None):
        """Call the hook as VDSM does, with env added to its environment. Returns the XML and the log."""
        env = {**(env or {}), **({} if vmfex is None else {'vmfex': vmfex})}
        return call_hook(os.path.join(self.hooks, point), xml, env, vm_id, self.command(), self.vdsm)

    def dry_run(self, xml, vmfex=None):
        """Run the hook with --test. Returns its exit status, and the lines of its output and its errors."""
        env = hook_environment(vdsm=self.vdsm, custom={'vmfex': vmfex} if vmfex else {})
        command = [*self.command(), os.path.join(self.hooks, 'before_vm_start', '50_vmfex'), '--test', '-']
        done = subprocess.run(command, env=env, input=xml, capture_output=True, text=True)
        check_stderr(done.stderr, failed=True)
        return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()

    def prepare_pool(self, vm=None):
        """Run the hook as at a VM's start, without starting it. Returns the pool's lines of the log."""
        vm = vm or VM()
        log = self.hook('before_vm_start', vm.xml, vm.vmfex, vm.uuid)[1]
        return [line for line in log.splitlines() if 'direct-pool' in line]

    # libvirtd

    def start_libvirtd(self):
        # By the PID, the macvtap indexes differ from those of all other hosts on the machine.
        port_profile = f'{os.path.dirname(self.library)}/{PORT_PROFILE}:' if self.port_profile else ''
        variables = [
            f'NOTIFY_SOCKET={self.path("/run/ready")}',
            f'LD_PRELOAD={port_profile}{self.library}',
            f'FABRIC_CHECKS={self.checks}',
            f'FABRIC={self.fabric.folder}',
            f'FABRIC_INDEX={256 * int(self.pid)}',
            f'FABRIC_HOST={self.name}',
        ]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            ready.bind(self.path('/run/ready'))
            ready.settimeout(60)
            # Not nsenter's environment: that must run without the library.
            command = [*self.command(), 'env', *variables, 'libvirtd']
            with open(self.path('/var/log/libvirt/stderr'), 'a') as stderr:
                self.libvirtd = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=stderr)
            while b'READY=1' not in ready.recv(4096):
                pass
        os.unlink(self.path('/run/ready'))
        self.conn = libvirt.open('qemu+unix:///system?socket=' + self.path('/run/libvirt/libvirt-sock'))

    def kill_libvirtd(self, signal='KILL'):
        """End libvirtd; the VMs run on."""
        self.conn = None
        self.run('pkill', '-' + signal, '-x', 'libvirtd')
        self.libvirtd.wait()

    def reboot(self, pool, own):
        """Boot the host anew, its VMs gone, with other names for the pool's NICs, and one more of its own."""
        for domain in self.conn.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
            domain.destroy()
        self.kill_libvirtd('TERM')
        self.run('rm', '-rf', '/run/libvirt')
        for nic in ['eth0', *self.pfs, *self.pool]:
            self.remove_nic(nic)
        self.pool = pool
        self._boot('eth0', own)

    def restart_libvirtd(self):
        self.kill_libvirtd('TERM')
        self.start_libvirtd()

    @property
    def net(self):
        """direct-pool, a virNetwork."""
        return self.conn.networkLookupByName('direct-pool')

    def redefine_pool(self, nics, settings='', restart=False):
        """Give direct-pool another definition, for its next start or, with a restart, for now."""
        uuid = f'<uuid>{self.net.UUIDString()}</uuid>'
        net = self.conn.networkDefineXML(network_xml(nics, settings=settings + uuid))
        if restart:
            net.destroy()
            net.create()

    def pool_is_set_up(self):
        """Tell whether direct-pool is active, persistent and autostarted."""
        return (self.net.isActive(), self.net.isPersistent(), self.net.autostart()) == (1, 1, 1)

    def pool_nics(self, flags=0):
        """Return direct-pool's NICs, a dict of name to connections."""
        nics = ElementTree.fromstring(self.net.XMLDesc(flags)).findall('forward/interface')
        return {nic.get('dev'): int(nic.get('connections', 0)) for nic in nics}

    def next_pool_nics(self):
        """Return the NICs of direct-pool's persistent definition, a list of names."""
        return list(self.pool_nics(libvirt.VIR_NETWORK_XML_INACTIVE))
