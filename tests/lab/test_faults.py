# SPDX-License-Identifier: GPL-2.0-or-later
"""
Before each of the hook's calls in turn, something happens: a VM comes or goes, the hook or libvirtd is
killed. No VM is disturbed, and the next start is right.
"""

import os
from pathlib import Path

import pytest

from tests.lab.hosts import ALPHA
from tests.lab.vm import VM
from tests.vdsm_runner import PLAIN, HookError
from tests.xml_builders import network_xml

FAULTS, LOG = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'faults'), '/run/calls'
START, STOP = 'virsh -q start vm1', 'virsh -q destroy vm1'
KILL_LIBVIRTD = 'kill -KILL $(cat /run/libvirtd.pid)'
KILL_HOOK = 'kill -KILL $PPID'
OLD = ALPHA[:-1]  # what the pool's definition has before the hook runs


def run_with(fault, number, alpha, vm):
    """Run the hook as at a VM's start, with a shell command before its call of that number, from 1."""
    faults = {'FAULT_LOG': LOG, 'FAULT_CALL': str(number), 'FAULT': f'({fault}) >/dev/null'}
    return alpha.hook('before_vm_start', vm.xml, vm.vmfex, env={'PYTHONPATH': FAULTS, **faults})


def calls_of_hook(alpha, vm):
    """Run the hook as at a VM's start. Returns the names of the calls that it made."""
    Path(alpha.path(LOG)).write_text('')
    run_with('', 0, alpha, vm)
    return Path(alpha.path(LOG)).read_text().split()


@pytest.mark.parametrize('happens', [STOP, START, f'{STOP};{START}', f'{START};{STOP}'])
def test_vm_that_comes_or_goes_never_makes_the_pool_look_wrong(alpha, happens):
    alpha.vdsm = PLAIN  # which is imported much faster
    bystander, vm = VM(1), VM(2)
    bystander.start(alpha)

    def prepare():
        # Leave something to do, so that the hook looks a second time, under its lock.
        alpha.net.setAutostart(0)
        if bystander.on(alpha).isActive() == happens.startswith(START):
            alpha.run('sh', '-c', STOP if happens.startswith(START) else START)

    prepare()
    calls = calls_of_hook(alpha, vm)
    assert calls.count('listAllNetworks') > 1  # the second time under its lock
    # These calls tell it the state of the pool.
    looks = [number for number, call in enumerate(calls, 1) if call in ('listAllNetworks', 'XMLDesc')]
    for number in sorted({*looks, *(look + 1 for look in looks)}):
        prepare()
        _, log = run_with(happens, number, alpha, vm)
        changes = [line for line in log.splitlines() if 'vmfex: direct-pool' in line]
        assert changes == ['vmfex: direct-pool set to autostart'], f'call {number}'
        assert alpha.next_pool_nics() == ALPHA
    assert list(alpha.pool_nics()) == ALPHA


def test_vm_that_comes_while_the_pool_is_to_restart_is_not_disturbed(alpha):
    """The moment between the hook's last look and the restart is as short as it can be."""
    alpha.vdsm = PLAIN
    bystander, vm = VM(1), VM(2)
    bystander.start(alpha)
    alpha.add_nics('eth12')

    def undo():
        bystander.on(alpha).destroy()
        alpha.redefine_pool(ALPHA, restart=True)

    undo()
    # Numbers are from 1: this is that of the call before the restart, with which the hook makes sure.
    last_look = calls_of_hook(alpha, vm).index('destroy')
    bystander.on(alpha).create()
    for number in range(1, last_look + 1):
        undo()
        try:
            run_with(START, number, alpha, vm)
            assert number != last_look
        except HookError as e:
            assert e.says('a VM came onto direct-pool just when') and e.xml == vm.xml
        assert bystander.on(alpha).isActive()
        assert alpha.pool_nics()['eth3'] == alpha.pool_nics()['eth4'] == 1


def without_a_pool(alpha):
    for net in alpha.conn.listAllNetworks():
        if net.isActive():
            net.destroy()
        net.undefine()


def with_a_pool_to_restart(alpha):
    without_a_pool(alpha)
    net = alpha.conn.networkDefineXML(network_xml(OLD))
    net.setAutostart(1)
    net.create()


def with_a_pool_in_use(alpha):
    """VM 1 is on the pool, which was made before the last NIC came."""
    vm = VM(1)
    if not vm.runs_on(alpha):
        with_a_pool_to_restart(alpha)
        alpha.sysfs.make_own(ALPHA[-1])
        vm.start(alpha)
        alpha.sysfs.make_vmfex(ALPHA[-1])
    alpha.redefine_pool(OLD)


@pytest.mark.parametrize('state', [without_a_pool, with_a_pool_to_restart, with_a_pool_in_use])
@pytest.mark.parametrize('fault', [KILL_LIBVIRTD, KILL_HOOK], ids=['libvirtd', 'hook'])
def test_next_start_is_right_after_a_kill_before_any_call(alpha, state, fault):
    if fault == KILL_HOOK:
        alpha.vdsm = PLAIN
    bystander, vm = VM(1), VM(2)
    moved, _ = alpha.hook('before_vm_start', vm.xml, vm.vmfex)
    state(alpha)
    for number, call in enumerate(calls_of_hook(alpha, vm), 1):
        state(alpha)
        on = bystander.vic_nics(alpha) if state is with_a_pool_in_use else {}
        requests = alpha.fabric.requests()
        # After its last call to libvirt, the hook has no use for libvirtd any more.
        needless = fault == KILL_LIBVIRTD and call == 'write_domxml'
        try:
            xml, _ = run_with(fault, number, alpha, vm)
        except HookError as e:
            assert not needless and e.xml == vm.xml, call
            assert e.status == -9 if fault == KILL_HOOK else e.status == 2 and e.says('libvirt failed: ')
        else:
            assert needless and xml == moved, call
        if fault == KILL_LIBVIRTD:
            alpha.libvirtd.wait(60)
            alpha.start_libvirtd()

        assert alpha.hook('before_vm_start', vm.xml, vm.vmfex)[0] == moved
        assert alpha.pool_is_set_up() and alpha.next_pool_nics() == ALPHA
        assert list(alpha.pool_nics()) == (OLD if on else ALPHA)
        assert alpha.fabric.requests() == requests  # no VM came or went
        if on:
            assert bystander.vic_nics(alpha) == on
            assert [nic for nic, users in alpha.pool_nics().items() if users] == list(on.values())
