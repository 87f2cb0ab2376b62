# SPDX-License-Identifier: GPL-2.0-or-later
"""The hook, or libvirtd under it, is killed at every step: nothing is lost, the next run is right."""

import os
import sys

import pytest

from tests.fake_vdsm.runner import PLAIN, HookError
from tests.hook import TESTS
from tests.lab.hosts import ALPHA, network_xml
from tests.lab.vm import VM

KILL_AT_LINE = os.path.join(TESTS, 'lab', 'kill_at_line.py')
KILL_LIBVIRTD = 'kill -KILL $(cat /run/libvirtd.pid)'
OLD = ALPHA[:-1]  # what the pool's definition has before the hook runs


def without_a_pool(alpha):
    if alpha.conn.listAllNetworks():
        net = alpha.net
        active = net.isActive()
        net.undefine()
        if active:
            net.destroy()


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


STATES = pytest.mark.parametrize('state', [without_a_pool, with_a_pool_to_restart,
                                           with_a_pool_in_use])


@pytest.fixture
def moved(alpha):
    """VM 2's domain as it comes out of the hook."""
    xml, _ = alpha.hook('before_vm_start', VM(2).xml, VM(2).vmfex)
    return xml


def run(alpha, state, moved, env, command=()):
    """
    Run the hook for VM 2 with a fault, in that state of the pool, and then without it.

    Returns whether the fault made it fail, and what is left beside the XML's file.
    """
    vm, bystander = VM(2), VM(1)
    state(alpha)
    on = bystander.vic_nics(alpha) if state is with_a_pool_in_use else {}
    requests = alpha.fabric.requests()
    failed, left = False, []
    try:
        xml, _ = alpha.hook('before_vm_start', vm.xml, vm.vmfex, env=env, command=command)
        assert xml == moved
    except HookError as e:
        failed, left = True, e.left
        assert e.xml in (vm.xml, moved)
        if e.status == 2:  # not killed: it says what happened
            assert e.says('libvirt failed: ')
            assert e.xml == vm.xml
    if env.get('FAULT') == KILL_LIBVIRTD:
        alpha.libvirtd.wait(60)
        alpha.close_connection()
        alpha.start_libvirtd()

    assert alpha.hook('before_vm_start', vm.xml, vm.vmfex)[0] == moved
    assert alpha.pool_is_set_up() and alpha.next_pool_nics() == ALPHA
    assert list(alpha.pool_nics()) == (ALPHA[:-1] if on else ALPHA)
    assert alpha.fabric.requests() == requests  # no VM came or went
    if on:
        assert bystander.vic_nics(alpha) == on
        assert [nic for nic, users in alpha.pool_nics().items() if users] == list(on.values())
    return failed, left


@STATES
def test_libvirtd_killed_at_every_call_of_the_hook(alpha, state, moved, report):
    state(alpha)
    calls = alpha.calls_of_hook('before_vm_start', VM(2).xml, VM(2).vmfex)
    for number in range(1, len(calls) + 1):
        for when in 'before', 'after':
            failed, left = run(alpha, state, moved, {'FAULT_CALL': str(number), 'FAULT_WHEN': when,
                                                     'FAULT': KILL_LIBVIRTD})
            assert left == []
            # After the last call, the hook may have no use for libvirtd any more.
            assert failed or (when, number) == ('after', len(calls)), (when, calls[number - 1])
    report('{}: libvirtd killed before and after each of {} calls'.format(
        state.__name__, len(calls)))


@STATES
def test_hook_killed_at_every_line_of_it(alpha, state, moved, tmp_path, report):
    alpha.vdsm = PLAIN  # which is imported much faster, several hundred times
    log = tmp_path / 'lines'
    command = [sys.executable, KILL_AT_LINE]
    run(alpha, state, moved, {'KILL_AT': '0', 'KILL_LOG': str(log)}, command)
    lines = int(log.read_text())
    leavings = 0
    for number in range(1, lines + 1):
        failed, left = run(alpha, state, moved, {'KILL_AT': str(number), 'KILL_LOG': str(log)}, command)
        assert failed, 'line {}'.format(number)
        leavings += len(left)
    # Between the two lines that name the new file and rename it.
    assert leavings == 1
    report('{}: hook killed before each of {} lines'.format(state.__name__, lines))
