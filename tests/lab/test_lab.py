# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab, as make lab gives it, cleans up after itself, and leaves the machine alone."""

import contextlib
import os
import subprocess
import sys

import libvirt
import pytest

from tests.hook import TREE, output
from tests.lab.vm import VM
from tests.lab.wait import wait_for

LAB = [sys.executable, '-m', 'tests.lab.prompt']
LINES = "vm[1].start(alpha)\nvm[1].migrate(alpha, beta)\nprint('up', alpha.pid, beta.pid, flush=True)\n"


def processes(namespaces):
    """Return the PIDs of the processes in these PID namespaces, as /proc/PID/ns/pid names them."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        with contextlib.suppress(OSError):  # it may end meanwhile
            if os.readlink(f'/proc/{pid}/ns/pid') in namespaces:
                found.append(pid)
    return found


def state_of_the_machine():
    folders = [sorted(os.listdir(folder)) for folder in ('/run', '/etc/libvirt/qemu')]
    with open('/proc/self/mounts') as mounts:
        return folders, mounts.read(), output('ip', '-o', 'link')


@pytest.fixture
def env(tmp_path_factory):
    """Lets the lab's files be below the tests'; not in tmp_path, too long a name for sockets."""
    return {**os.environ, 'KIND': 'vfs', 'TMPDIR': str(tmp_path_factory.mktemp('lab'))}


@pytest.mark.parametrize('killed', [False, True])
def test_nothing_is_left_however_the_lab_ends(env, killed):
    before = state_of_the_machine()
    pipes = {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE, 'stderr': subprocess.DEVNULL}
    with subprocess.Popen(LAB, cwd=TREE, env=env, text=True, **pipes) as lab:
        lab.stdin.write(LINES)
        lab.stdin.flush()
        answer = next(line for line in lab.stdout if 'lab> up ' in line or 'Error' in line)
        namespaces = {os.readlink(f'/proc/{pid}/ns/pid') for pid in answer.split()[2:]}
        assert len(processes(namespaces)) == 5  # two cats, two libvirtds, one QEMU
        assert state_of_the_machine() == before
        if killed:
            lab.kill()
    wait_for(lambda: not processes(namespaces))
    assert state_of_the_machine() == before


def test_machine_whose_own_libvirtd_runs_is_left_alone(env, alpha):
    """That machine is a host of the lab itself."""
    vm = VM(9)
    vm.start(alpha)

    def state():
        return alpha.pool_xml(), vm.on(alpha).XMLDesc(), alpha.run('ls', '/sys/class/net')

    before = state()
    out = output(*alpha.command(), *LAB, cwd=TREE, env={**env, 'PYTHONPATH': TREE}, input=LINES)
    assert 'vmfex: direct-pool started' in out and 'lab> up' in out
    assert state() == before
    assert vm.on(alpha).state()[0] == libvirt.VIR_DOMAIN_RUNNING
