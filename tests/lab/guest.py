# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that runs Linux: without an operating system a VM never lets go of a NIC."""

import glob
import lzma
import os
import subprocess
import time

import pytest

from tests.hook import output
from tests.lab.wait import wait_for

# Gives each NIC, also those that are plugged in, a static address.
INIT = """\
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mkdir /sys
/bin/busybox mount -t sysfs sys /sys
for module in /modules/*; do /bin/busybox insmod $module; done
while :; do
    for nic in /sys/class/net/eth*; do
        nic=${nic##*/}
        [ -e /sys/class/net/$nic/address ] && ! [ -e /done.$nic ] || continue
        IFS=: read -r _ _ _ _ e f < /sys/class/net/$nic/address
        /bin/busybox ip link set $nic up
        /bin/busybox ip addr add fd00::$e$f/64 dev $nic
        > /done.$nic
    done
    /bin/busybox sleep 0.2
done
"""
PROMISCUOUS_INIT = INIT.replace(' $nic up\n', ' $nic up; /bin/busybox ifconfig $nic promisc\n')
BOOT = '<kernel>{}</kernel><initrd>{}</initrd><cmdline>quiet panic=1</cmdline>'


def make_initrd(folder, kernel, init=INIT, modules=('virtio_pci', 'virtio_net')):
    """Make an initramfs of busybox, the first process and modules of the kernel. Returns its path."""
    root = os.path.join(folder, 'root')
    for name in 'bin', 'dev', 'modules':
        os.makedirs(os.path.join(root, name))
    subprocess.run(['cp', '/bin/busybox', os.path.join(root, 'bin')], check=True)
    for number, path in enumerate(find_modules(kernel, *modules)):
        with (lzma.open if path.endswith('.xz') else open)(path, 'rb') as module:
            with open(os.path.join(root, 'modules', f'{number:02}'), 'wb') as copy:
                copy.write(module.read())
    with open(os.path.join(root, 'init'), 'w') as f:
        f.write(init)
    os.chmod(f.name, 0o755)
    initrd = os.path.join(folder, 'initrd')
    with open(initrd, 'wb') as f:
        subprocess.run('find . | cpio --quiet -o -H newc', shell=True, check=True, cwd=root, stdout=f)
    return initrd


def find_modules(kernel, *names):
    """Return the paths of modules and of those they need, in the order in which they are to be loaded."""
    version = kernel.partition('vmlinuz-')[2]
    commands = [['/sbin/modprobe', '--show-depends', '--set-version', version, name] for name in names]
    lines = ''.join(output(*command) for command in commands).splitlines()
    return list(dict.fromkeys(line.split()[1] for line in lines if line.startswith('insmod')))


def give_linux(vm, folder, init=INIT):
    """Let a VM boot Linux when it starts, with files in that folder."""
    kernels = sorted(glob.glob('/boot/vmlinuz-*'))
    if not kernels:
        pytest.skip('no kernel for a guest in /boot')
    boot = BOOT.format(kernels[-1], make_initrd(folder, kernels[-1], init))
    vm.xml = vm.xml.replace('</os>', boot + '</os>').replace('<memory>32768', '<memory>131072')


def wait_for_answer(host, vm, mac):
    """
    Wait until a VM's NIC with that MAC answers to its IPv6 address, on its bridge or to the fabric.

    Until then, a guest of QEMU before 6.1 does not let go of it: it takes the request to unplug for a second
    press of the attention button of the slot, which takes back the first one (PCI Express, 6.7.1.5).
    """
    names = vm.vic_nics(host)
    nic = host.peer(names[mac]) if mac in names else 'ovirtmgmt'
    address = 'fd00::{}{}'.format(*mac.split(':')[4:])
    # A neighbour that did not answer is not asked again for a while, unless it is forgotten.
    ping = 'busybox ping6 -c 1 -W 1 -I {0} {1} || {{ ip -6 neigh flush dev {0}; false; }}'
    host.run('ip', '-6', 'address', 'replace', 'fd00::ff/64', 'dev', nic, 'nodad')
    command = [*host.command(), 'sh', '-c', ping.format(nic, address)]
    wait_for(
        lambda: subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    )


def let_slots_settle(host):
    """
    Wait until a guest that has just booted is ready for a NIC to come.

    With QEMU before 6.1 it may power off the NIC's slot as one of those that it found empty, some seconds
    after its first NICs are up, and nothing tells when it is done with that.
    """
    if host.conn.getVersion() < 6001000:
        time.sleep(12)
