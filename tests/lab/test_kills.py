# SPDX-License-Identifier: GPL-2.0-or-later
"""The hook, or libvirtd under it, is killed at every step: nothing is lost, the next run is right."""

import os
import sys

import pytest

from conftest import ALPHA
from vdsm_runner import HookError
from vm import VM

KILL_AT_LINE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'kill_at_line.py')
KILL_LIBVIRTD = 'kill -KILL $(cat /run/libvirtd.pid)'
# Before the hook runs, the pool's definition lacks the last NIC.
OLD = "<network><name>direct-pool</name>{}<forward mode='passthrough'>{}</forward></network>".format(
    '{}', ''.join("<interface dev='{}'/>".format(nic) for nic in ALPHA[:-1]))


def without_a_pool(host):
    if host.conn.listAllNetworks():
        net = host.conn.networkLookupByName('direct-pool')
        active = net.isActive()
        net.undefine()
        if active:
            net.destroy()


def with_a_pool_to_restart(host):
    without_a_pool(host)
    net = host.conn.networkDefineXML(OLD.format(''))
    net.setAutostart(1)
    net.create()


def with_a_pool_in_use(host):
    """VM 1 is on the pool, which was made before the last NIC came."""
    vm = VM(1)
    if not vm.runs_on(host):
        with_a_pool_to_restart(host)
        host.sysfs.set_mac(ALPHA[-1], '00:25:b5:00:00:0f')  # it is no free NIC yet
        vm.start(host)
        host.sysfs.set_mac(ALPHA[-1], '00:00:00:00:00:00')
    uuid = host.conn.networkLookupByName('direct-pool').UUIDString()
    host.conn.networkDefineXML(OLD.format('<uuid>{}</uuid>'.format(uuid)))


STATES = pytest.mark.parametrize('state', [without_a_pool, with_a_pool_to_restart,
                                           with_a_pool_in_use])


@pytest.fixture
def moved(host):
    """VM 2's domain as it comes out of the hook."""
    xml, _ = host.hook('before_vm_start', VM(2).xml, VM(2).vmfex)
    return xml


def run(host, state, moved, env, command=()):
    """
    Run the hook for VM 2 with a fault, in that state of the pool, and then without it.

    Returns whether the fault made it fail.
    """
    vm, bystander = VM(2), VM(1)
    state(host)
    on = bystander.vic_nics(host) if state is with_a_pool_in_use else {}
    requests = host.fabric.requests()
    failed = False
    try:
        xml, _ = host.hook('before_vm_start', vm.xml, vm.vmfex, env=env, command=command)
        assert xml == moved
    except HookError as e:
        failed = True
        assert e.xml in (vm.xml, moved)
        if e.status == 2:  # not killed: it says what happened
            assert str(e).startswith('vmfex: libvirt failed: ') and str(e).count('\n') == 1
            assert e.xml == vm.xml
    if env.get('FAULT') == KILL_LIBVIRTD:
        host.libvirtd.wait(60)
        host.close_connection()
        host.start_libvirtd()

    assert host.hook('before_vm_start', vm.xml, vm.vmfex)[0] == moved
    net = host.conn.networkLookupByName('direct-pool')
    assert (net.isActive(), net.isPersistent(), net.autostart()) == (1, 1, 1)
    assert host.next_pool_nics() == ALPHA
    assert list(host.pool_nics()) == (ALPHA[:-1] if on else ALPHA)
    assert host.fabric.requests() == requests  # no VM came or went
    if on:
        assert bystander.vic_nics(host) == on
        assert [nic for nic, users in host.pool_nics().items() if users] == list(on.values())
    return failed


@STATES
def test_libvirtd_killed_at_every_call_of_the_hook(host, state, moved, tmp_path, report):
    log = tmp_path / 'calls'
    run(host, state, moved, {'FAULT_LOG': str(log)})
    calls = log.read_text().split()
    for number in range(1, len(calls) + 1):
        for when in 'before', 'after':
            failed = run(host, state, moved, {'FAULT_CALL': str(number), 'FAULT_WHEN': when,
                                              'FAULT': KILL_LIBVIRTD})
            # After the last call, the hook may have no use for libvirtd any more.
            assert failed or (when, number) == ('after', len(calls)), (when, calls[number - 1])
    report('{}: libvirtd killed before and after each of {} calls'.format(
        state.__name__, len(calls)))


@STATES
def test_hook_killed_at_every_line_of_it(host, state, moved, tmp_path, report):
    log = tmp_path / 'lines'
    command = [sys.executable, KILL_AT_LINE]
    run(host, state, moved, {'KILL_AT': '0', 'KILL_LOG': str(log)}, command)
    lines = int(log.read_text())
    for number in range(1, lines + 1):
        failed = run(host, state, moved, {'KILL_AT': str(number), 'KILL_LOG': str(log)}, command)
        assert failed, 'line {}'.format(number)
    report('{}: hook killed before each of {} lines'.format(state.__name__, lines))
