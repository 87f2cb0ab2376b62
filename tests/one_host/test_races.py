# SPDX-License-Identifier: GPL-2.0-or-later
"""VMs start and stop while the hook looks at the pool. See libvirt's order of events in the hook."""

import pytest

from tests.fake_vdsm.runner import HookError
from tests.lab.hosts import ALPHA
from tests.lab.vm import VM

START, STOP = 'virsh -q start vm1', 'virsh -q destroy vm1'


@pytest.mark.parametrize('happens', [STOP, START, STOP + ';' + START, START + ';' + STOP],
                         ids=['stop', 'start', 'stop-start', 'start-stop'])
def test_vm_that_comes_or_goes_never_makes_the_pool_look_wrong(alpha, happens, tmp_path):
    bystander, vm = VM(1), VM(2)
    bystander.start(alpha)
    net = alpha.conn.networkLookupByName('direct-pool')
    log = tmp_path / 'calls'

    def run(env):
        # So that there is something to do, and the hook looks again under its lock.
        net.setAutostart(0)
        if bystander.on(alpha).isActive() == happens.startswith(START):
            alpha.run('sh', '-c', STOP if happens.startswith(START) else START)
        return alpha.hook('before_vm_start', vm.xml, vm.vmfex, env=env)[1]

    run({'FAULT_LOG': str(log)})
    calls = log.read_text().split()
    assert calls.count('networkLookupByName') == 2
    # What it learns, it learns from these; and from the MACs, which it reads before and after them.
    looks = [number for number, call in enumerate(calls, 1)
             if call in ('networkLookupByName', 'XMLDesc')]
    for number in looks:
        for when in 'before', 'after':
            lines = run({'FAULT_CALL': str(number), 'FAULT_WHEN': when,
                         'FAULT': '({}) >/dev/null'.format(happens)})
            assert [line for line in lines.splitlines() if 'vmfex: direct-pool' in line] == [
                'vmfex: direct-pool set to autostart'], '{} call {}'.format(when, number)
            assert alpha.next_pool_nics() == ALPHA
    assert list(alpha.pool_nics()) == ALPHA


def test_vm_that_comes_while_the_pool_is_to_restart_is_not_disturbed(alpha, tmp_path):
    """The moment between the hook's last look and the restart is as short as it can be."""
    bystander, vm = VM(1), VM(2)
    bystander.start(alpha)
    bystander.on(alpha).destroy()
    alpha.add_nic('eth12')
    log = tmp_path / 'calls'

    def undo():
        if bystander.on(alpha).isActive():
            bystander.on(alpha).destroy()
        net = alpha.conn.networkLookupByName('direct-pool')
        alpha.conn.networkDefineXML(
            "<network><name>direct-pool</name><uuid>{}</uuid><forward mode='passthrough'>{}</forward>"
            "</network>".format(net.UUIDString(), ''.join(
                "<interface dev='{}'/>".format(nic) for nic in ALPHA)))
        net.destroy()
        net.create()

    alpha.hook('before_vm_start', vm.xml, vm.vmfex, env={'FAULT_LOG': str(log)})
    calls = log.read_text().split()
    last_look = calls.index('destroy')  # counted from 1: the call before it
    assert calls[last_look - 1] == 'XMLDesc'
    for number in range(1, last_look + 1):
        undo()
        try:
            alpha.hook('before_vm_start', vm.xml, vm.vmfex, env={
                'FAULT_CALL': str(number), 'FAULT': START + ' >/dev/null'})
        except HookError as e:
            assert str(e).startswith('vmfex: a VM came onto direct-pool just when')
            assert e.xml == vm.xml
        assert bystander.on(alpha).isActive()
        assert alpha.pool_nics()['eth3'] == alpha.pool_nics()['eth4'] == 1
