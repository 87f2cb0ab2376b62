# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that runs Linux: without an operating system a VM never lets go of a NIC."""

import glob
import lzma
import os
import shutil
import subprocess
import time
from pathlib import Path

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
    """Make an initramfs of busybox, the first process, and modules and what they need. Returns its path."""
    root, initrd = Path(folder, 'root'), os.path.join(folder, 'initrd')
    for name in 'bin', 'dev', 'modules':
        os.makedirs(root / name)
    shutil.copy('/bin/busybox', root / 'bin')
    show = ['/sbin/modprobe', '--show-depends', '--set-version', kernel.partition('vmlinuz-')[2]]
    lines = [line for name in modules for line in output(*show, name).splitlines()]
    paths = dict.fromkeys(line.split()[1] for line in lines if line.startswith('insmod'))
    for number, path in enumerate(paths):  # in the order in which they are to be loaded
        with (lzma.open if path.endswith('.xz') else open)(path, 'rb') as module:
            (root / f'modules/{number:02}').write_bytes(module.read())
    (root / 'init').write_text(init)
    (root / 'init').chmod(0o755)
    with open(initrd, 'wb') as f:
        subprocess.run('find . | cpio --quiet -o -H newc', shell=True, check=True, cwd=root, stdout=f)
    return initrd


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
    silent = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL}
    wait_for(lambda: subprocess.run(command, **silent).returncode == 0)


def let_slots_settle(host):
    """
    Wait until a guest that has just booted is ready for a NIC to come.

    With QEMU before 6.1 it may power off the NIC's slot as one of those that it found empty, some seconds
    after its first NICs are up, and nothing tells when it is done with that.
    """
    if host.conn.getVersion() < 6001000:
        time.sleep(12)
