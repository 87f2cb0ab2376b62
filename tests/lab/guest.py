# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that runs Linux: without an operating system a VM never lets go of a NIC."""

import contextlib
import glob
import lzma
import os
import socket
import subprocess
import time

import pytest

from tests.lab.wait import wait_for

# Gives each NIC, also those that are plugged in, a static address, and says so on the serial port, which
# the VM connects to the test's socket.
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
        IFS=: read -r a b c d e f < /sys/class/net/$nic/address
        /bin/busybox ip link set $nic up
        /bin/busybox ip addr add fd00::$e$f/64 dev $nic
        echo "$a:$b:$c:$d:$e:$f is up" > /dev/ttyS0
        > /done.$nic
    done
    /bin/busybox sleep 0.2
done
"""
BOOT = '<kernel>{}</kernel><initrd>{}</initrd><cmdline>quiet panic=1</cmdline>'
SERIAL = '<serial type="unix"><source mode="connect" path="{}"/></serial>'


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
    lines = ''.join(subprocess.check_output(command, text=True) for command in commands).splitlines()
    return list(dict.fromkeys(line.split()[1] for line in lines if line.startswith('insmod')))


def answers(host, nic, mac):
    """Wait until the guest's NIC with that MAC answers to its IPv6 address, from the other end of a host's
    NIC or from a bridge.
    """
    address = 'fd00::{}{}'.format(*mac.split(':')[4:])
    ping = 'busybox ping6 -c 1 -W 1 -I {0} {1} || {{ ip -6 neigh flush dev {0}; false; }}'
    host.run('ip', '-6', 'address', 'replace', 'fd00::ff/64', 'dev', nic, 'nodad')
    command = [*host.command(), 'sh', '-c', ping.format(nic, address)]
    return wait_for(
        lambda: subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    )


@contextlib.contextmanager
def linux(vm, folder, start):
    """
    Make a VM boot Linux, with files in that folder; start it by calling start, and wait until it is up.

    Gives a function that waits until the guest has a NIC with that MAC up. Before that, a guest of QEMU
    before 6.1 does not let go of it: it takes the request to unplug for a second press of the attention
    button of the slot, which takes back the first one (PCI Express, 6.7.1.5).
    """
    kernels = sorted(glob.glob('/boot/vmlinuz-*'))
    if not kernels:
        pytest.skip('no kernel for a guest in /boot')
    path = os.path.join(folder, 'up')
    boot = BOOT.format(kernels[-1], make_initrd(folder, kernels[-1]))
    vm.xml = (
        vm.xml.replace('</os>', boot + '</os>')
        .replace('</devices>', SERIAL.format(path) + '</devices>')
        .replace('<memory>32768', '<memory>131072')
    )
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        start()
        listener.settimeout(120)
        serial, _ = listener.accept()
        with serial:
            serial.settimeout(120)
            console = bytearray()

            def wait_until_up(mac):
                while f'{mac} is up'.encode() not in console:
                    console.extend(serial.recv(4096))

            for mac in vm.macs:
                wait_until_up(mac)
            yield wait_until_up  # and still listens: to where the VM migrates, its port connects anew


def let_slots_settle(host):
    """
    Wait until a guest that has just booted is ready for a NIC to come.

    With QEMU before 6.1 it may power off the NIC's slot as one of those that it found empty, some seconds
    after its first NICs are up, and nothing tells when it is done with that.
    """
    if host.conn.getVersion() < 6001000:
        time.sleep(12)
