# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that runs Linux: without an operating system a VM never lets go of a NIC."""

import contextlib
import glob
import os
import socket
import subprocess
import time

import pytest

# Says that it is up, on the serial port that the VM connects to the test's socket. It has no drivers for
# PCI devices; it enables them, so that those that are plugged in can be looked at.
INIT = """\
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mkdir /sys
/bin/busybox mount -t sysfs sys /sys
echo ready > /dev/ttyS0
while :; do
    for enable in /sys/bus/pci/devices/*/enable; do
        read enabled < $enable
        [ $enabled != 0 ] || echo 1 > $enable
    done
    /bin/busybox sleep 0.2
done
"""
BOOT = """\
<kernel>{kernel}</kernel>
    <initrd>{initrd}</initrd>
    <cmdline>quiet panic=1</cmdline>
"""
SERIAL = """\
<serial type="unix"><source mode="connect" path="{}"/></serial>
    <interface type="bridge">"""


def make_initrd(folder):
    """Make an initramfs of busybox and INIT. Returns its path."""
    root = os.path.join(folder, 'root')
    for name in 'bin', 'dev':
        os.makedirs(os.path.join(root, name))
    subprocess.run(['cp', '/bin/busybox', os.path.join(root, 'bin')], check=True)
    with open(os.path.join(root, 'init'), 'w') as f:
        f.write(INIT)
    os.chmod(f.name, 0o755)
    initrd = os.path.join(folder, 'initrd')
    with open(initrd, 'wb') as f:
        subprocess.run('find . | cpio --quiet -o -H newc', shell=True, check=True, cwd=root, stdout=f)
    return initrd


@contextlib.contextmanager
def linux(vm, folder, start):
    """Make a VM boot Linux, with files in that folder; start it by calling start, and wait until it is up."""
    kernels = sorted(glob.glob('/boot/vmlinuz-*'))
    if not kernels:
        pytest.skip('no kernel for a guest in /boot')
    path = os.path.join(folder, 'up')
    boot = BOOT.format(kernel=kernels[-1], initrd=make_initrd(folder))
    vm.xml = (
        vm.xml.replace('<smbios', boot + '    <smbios', 1)
        .replace('<interface type="bridge">', SERIAL.format(path), 1)
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
        console = b''
        while b'ready' not in console:
            console += serial.recv(4096)
        yield


def let_slots_settle(host):
    """
    Wait until a guest is ready for a NIC to come or go.

    Before 6.1, QEMU asks it by the attention button of the slot, which a second press within 5 seconds
    takes back (PCI Express, 6.7.1.5); and a guest that boots is busy with its slots itself.
    """
    if host.conn.getVersion() < 6001000:
        time.sleep(12)
