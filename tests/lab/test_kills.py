# SPDX-License-Identifier: GPL-2.0-or-later
"""The hook, or libvirtd under it, is killed before each of its calls: the next start puts all right."""

import pytest

from tests.lab.hosts import ALPHA
from tests.lab.vm import VM
from tests.vdsm_runner import PLAIN, HookError
from tests.xml_builders import network_xml

KILL_LIBVIRTD = 'kill -KILL $(cat /run/libvirtd.pid)'
KILL_HOOK = 'kill -KILL $PPID'
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


@pytest.mark.parametrize('state', [without_a_pool, with_a_pool_to_restart, with_a_pool_in_use])
@pytest.mark.parametrize('fault', [KILL_LIBVIRTD, KILL_HOOK], ids=['libvirtd', 'hook'])
def test_next_start_is_right_after_a_kill_before_any_call(alpha, state, fault):
    if fault == KILL_HOOK:
        alpha.vdsm = PLAIN  # which is imported much faster
    bystander, vm = VM(1), VM(2)
    moved, _ = alpha.hook('before_vm_start', vm.xml, vm.vmfex)
    state(alpha)
    calls = alpha.calls_of_hook(vm)
    for number, call in enumerate(calls, 1):
        state(alpha)
        on = bystander.vic_nics(alpha) if state is with_a_pool_in_use else {}
        requests = alpha.fabric.requests()
        # After its last call to libvirt, the hook has no use for libvirtd any more.
        needless = fault == KILL_LIBVIRTD and call == 'write_domxml'
        env = {'FAULT': fault, 'FAULT_CALL': str(number)}
        try:
            xml, _ = alpha.hook('before_vm_start', vm.xml, vm.vmfex, env=env)
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
