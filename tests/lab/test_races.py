# SPDX-License-Identifier: GPL-2.0-or-later
"""VMs start and stop while the hook looks at the pool, and while it changes it."""

import pytest

from tests.lab.hosts import ALPHA
from tests.lab.vm import VM
from tests.vdsm_runner import PLAIN, HookError

START, STOP = 'virsh -q start vm1', 'virsh -q destroy vm1'


@pytest.mark.parametrize(
    'happens',
    [STOP, START, STOP + ';' + START, START + ';' + STOP],
    ids=['stop', 'start', 'stop-start', 'start-stop'],
)
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
    calls = alpha.calls_of_hook(vm)
    assert calls.count('listAllNetworks') > 1  # the second time under its lock
    # These calls tell it the state of the pool.
    looks = [number for number, call in enumerate(calls, 1) if call in ('listAllNetworks', 'XMLDesc')]
    for number in sorted({*looks, *(look + 1 for look in looks)}):
        prepare()
        env = {'FAULT_CALL': str(number), 'FAULT': f'({happens}) >/dev/null'}
        _, log = alpha.hook('before_vm_start', vm.xml, vm.vmfex, env=env)
        changes = [line for line in log.splitlines() if 'vmfex: direct-pool' in line]
        assert changes == ['vmfex: direct-pool set to autostart'], f'call {number}'
        assert alpha.next_pool_nics() == ALPHA
    assert list(alpha.pool_nics()) == ALPHA


def test_vm_that_comes_while_the_pool_is_to_restart_is_not_disturbed(alpha):
    """The moment between the hook's last look and the restart is as short as it can be."""
    alpha.vdsm = PLAIN
    bystander, vm = VM(1), VM(2)
    bystander.start(alpha)
    bystander.on(alpha).destroy()
    alpha.add_nic('eth12')

    def undo():
        if bystander.on(alpha).isActive():
            bystander.on(alpha).destroy()
        alpha.redefine_pool(ALPHA, restart=True)

    calls = alpha.calls_of_hook(vm)
    # Numbers are from 1: this is that of the call before the restart, with which the hook makes sure.
    last_look = calls.index('destroy')
    for number in range(1, last_look + 1):
        undo()
        env = {'FAULT_CALL': str(number), 'FAULT': START + ' >/dev/null'}
        try:
            alpha.hook('before_vm_start', vm.xml, vm.vmfex, env=env)
            assert number != last_look
        except HookError as e:
            assert str(e).startswith('vmfex: a VM came onto direct-pool just when')
            assert e.xml == vm.xml
        assert bystander.on(alpha).isActive()
        assert alpha.pool_nics()['eth3'] == alpha.pool_nics()['eth4'] == 1
