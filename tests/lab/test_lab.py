# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab cleans up after itself, and leaves the machine alone."""

import contextlib
import os
import signal
import subprocess
import sys

import libvirt
import pytest

from tests.hook import HOOKS, TREE, output
from tests.lab.vm import VM
from tests.lab.wait import wait_for

# Starts a lab with a VM in it, says so, and waits to be killed or for its stdin to be closed.
SCRIPT = """
import signal
import sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # what started the tests may ignore it
sys.path.insert(0, {tree!r})
from tests.lab.hosts import make_lab
from tests.lab.vm import VM
with make_lab({folder!r}, {library!r}, {hooks!r}) as hosts:
    VM().start(hosts['alpha'])
    print('up', *[host.pid for host in hosts.values()], flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def script(fabric_library, tmp_path_factory):
    """A program that does what SCRIPT says, for `python -c`."""
    folder = str(tmp_path_factory.mktemp('lab'))  # not tmp_path, too long a name for the sockets below it
    return SCRIPT.format(tree=TREE, folder=folder, library=fabric_library, hooks=HOOKS)


def processes(namespaces):
    """Return the PIDs of the processes in these PID namespaces, as /proc/PID/ns/pid names them."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        with contextlib.suppress(OSError):  # it may end meanwhile
            if os.readlink(f'/proc/{pid}/ns/pid') in namespaces:
                found.append(pid)
    return found


def state_of_the_machine():
    with open('/proc/self/mounts') as mounts:
        return (
            mounts.read(),
            subprocess.check_output(['ip', '-o', 'link']),
            sorted(os.listdir('/run')),
            sorted(os.listdir('/etc/libvirt/qemu')),
        )


@pytest.mark.parametrize('sent', ['SIGINT', 'SIGKILL', 'nothing'])
def test_nothing_is_left_however_the_lab_ends(script, sent):
    before = state_of_the_machine()
    pipes = {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE, 'stderr': subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, '-c', script], **pipes) as lab:
        word, *pids = lab.stdout.readline().decode().split()
        assert word == 'up'
        namespaces = {os.readlink(f'/proc/{pid}/ns/pid') for pid in pids}
        assert len(processes(namespaces)) == 5  # two cats, two libvirtds, one QEMU
        assert state_of_the_machine() == before
        if sent == 'nothing':
            lab.stdin.close()
        else:
            lab.send_signal(getattr(signal, sent))
        lab.wait(60)
    wait_for(lambda: not processes(namespaces))
    assert state_of_the_machine() == before


def test_machine_whose_own_libvirtd_runs_is_left_alone(script, alpha):
    """That machine is a host of the lab itself."""
    vm = VM(9)
    vm.start(alpha)

    def state():
        return alpha.pool_xml(), vm.on(alpha).XMLDesc(), alpha.run('ls', '/sys/class/net')

    before = state()
    assert alpha.run(sys.executable, '-c', script).startswith('up')
    assert state() == before
    assert vm.on(alpha).state()[0] == libvirt.VIR_DOMAIN_RUNNING


# What is typed, and what it shows.
PROMPT = [
    ('vm[1].start(alpha)', 'vmfex: direct-pool started\n'),
    ("alpha.run('virsh', '-q', 'list', '--name')", 'vm1\n'),
    ('vm[1].migrate(alpha, beta)', 'vmfex: direct-pool started\n'),
    ("vm[1].set_link(beta, 'down')", 'has link down'),
    ('vm[1].plug_one_more(beta)', 'port profile Plugged'),
    ('vm[1].suspend(beta)', ''),
    ('beta.net.destroy()', '0'),
    ('vm[1].resume(beta)', 'vmfex: direct-pool started\n'),
    ('fabric.requests()', "host='beta', nic='enp6s0f0/1', operation='ASSOCIATE', profile='Plugged'"),
    ('vm[1].stop(beta)', ''),
    ("fabric.refuse('Profile2')", ''),
    ('vm[2].start(alpha)', 'libvirtError: error '),
    ("fabric.refuse('')", ''),
    ("alpha.sysfs.make_own('eth5')", ''),
    ('vm[2].start(alpha)', 'vmfex: direct-pool defined: eth3, eth4, eth6, '),
]


def test_prompt_does_what_its_lines_say():
    command, env = [sys.executable, '-m', 'tests.lab.prompt'], {**os.environ, 'KIND': 'vfs'}
    lines = '\n'.join(line for line, _ in PROMPT)
    out = output(*command, cwd=TREE, env=env, input=lines)
    _, *answers = out.split('lab> ')
    assert len(answers) == len(PROMPT) + 1
    for (line, says), answer in zip(PROMPT, answers):
        assert says in answer if says else answer == '', line
