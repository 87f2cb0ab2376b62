# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab, as make lab gives it, cleans up after itself, and leaves the machine alone."""

import os
import subprocess
import sys

import pytest

from tests.hook import TREE
from tests.lab.vm import VM
from tests.lab.wait import wait_for

LINES = "vm[1].start(alpha)\nvm[1].migrate(alpha, beta)\nprint('up', vm[1].runs_on(beta))\n"
# What shows a machine's processes, direct-pool and a VM on it, NICs, mounts and files.
SHOW = """\
ps -eo args
virsh net-dumpxml direct-pool
virsh dumpxml vm9
ls /sys/class/net
cat /proc/self/mounts
ls -R /run /etc/libvirt"""


@pytest.mark.parametrize('killed', [False, True])
def test_lab_leaves_a_machine_whose_own_libvirtd_runs_as_it_was(alpha, tmp_path_factory, killed):
    """That machine is a host of the lab itself."""

    def state():
        return [alpha.run(*command.split()) for command in SHOW.splitlines()]

    VM(9).start(alpha)
    before = state()
    # Not in tmp_path, which is too long a name for sockets.
    env = {**os.environ, 'KIND': 'vfs', 'PYTHONPATH': TREE, 'TMPDIR': str(tmp_path_factory.mktemp('lab'))}
    command = [*alpha.command(), sys.executable, '-m', 'tests.lab.prompt']
    pipes = {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE, 'stderr': subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=TREE, env=env, text=True, **pipes) as lab:
        lab.stdin.write(LINES)
        lab.stdin.flush()
        assert 'True' in next(line for line in lab.stdout if 'lab> up ' in line or 'Error' in line)
        assert state()[1:] == before[1:]
        if killed:
            alpha.run('pkill', '-KILL', '-f', 'tests.lab.prompt')
    assert lab.returncode == (-9 if killed else 0)
    wait_for(lambda: state() == before)
