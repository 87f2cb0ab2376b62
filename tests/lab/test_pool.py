# SPDX-License-Identifier: GPL-2.0-or-later
"""direct-pool, by a real libvirtd; tests/unit/test_pool.py has which state of it needs which steps."""

import os

import libvirt
import pytest

from tests.lab.hosts import ALPHA
from tests.lab.vm import VM
from tests.vdsm_runner import HookError
from tests.xml_builders import network_xml

POOL = 'vmfex: direct-pool '
DEFINED = POOL + 'defined: ' + ', '.join(ALPHA)
NEXT = POOL + 'defined, for its next start, as VMs are on it: '
STOPPED, STARTED, AUTOSTART = POOL + 'stopped', POOL + 'started', POOL + 'set to autostart'
VIRTUALPORT = "<virtualport type='802.1Qbh'><parameters profileid='P'/></virtualport>"
# Somebody else's; with all but the last, no VM could start.
SETTINGS = (
    VIRTUALPORT,
    f"<portgroup name='all' default='yes'>{VIRTUALPORT}</portgroup>",
    "<vlan><tag id='7'/></vlan>",
    "<port isolated='yes'/>",
    "<metadata><x:y xmlns:x='urn:x'><interface dev='eth99'/></x:y></metadata>",
)


def assert_right(alpha, nics=ALPHA):
    assert alpha.pool_is_set_up()
    assert list(alpha.pool_nics()) == alpha.next_pool_nics() == list(nics)


def test_right_pool_is_not_touched_and_needs_no_lock(alpha):
    assert alpha.prepare_pool() == [DEFINED, STARTED, AUTOSTART]
    assert_right(alpha)
    find = ('find', '/etc/libvirt', '/run/libvirt/network', '-printf', '%p %C@ %i\\n')
    before = alpha.run(*find)
    os.rename(alpha.path('/run/vdsm'), alpha.path('/run/elsewhere'))  # no lock can be taken
    assert alpha.prepare_pool() == []
    assert alpha.run(*find) == before


def test_pool_that_no_vm_is_on_is_put_right(alpha):
    uuid = alpha.conn.networkDefineXML(network_xml([])).UUID()

    def assert_put_right(*done, nics=ALPHA):
        assert alpha.prepare_pool() == list(done)
        assert_right(alpha, nics)
        assert alpha.net.UUID() == uuid and alpha.prepare_pool() == []

    assert_put_right(DEFINED, STARTED, AUTOSTART)
    alpha.net.undefine()  # now it is transient
    assert_put_right(DEFINED, AUTOSTART)
    for nics, settings in [(['eth0', *ALPHA, 'eth99'], ''), *((ALPHA, settings) for settings in SETTINGS)]:
        alpha.redefine_pool(nics, settings, restart=True)
        assert_put_right(DEFINED, STOPPED, STARTED)
    VM().start(alpha)
    VM().stop(alpha)
    alpha.sysfs.make_own('eth11')
    assert_put_right(DEFINED.replace(', eth11', ''), STOPPED, STARTED, nics=ALPHA[:-1])


def test_pool_that_a_vm_is_on_changes_for_its_next_start_only(alpha):
    VM(1).start(alpha)
    live = alpha.net.XMLDesc()
    alpha.add_nics('eth12')
    for nic in 'eth9', 'eth10':
        alpha.remove_nic(nic)
    right = ['eth3', 'eth4', 'eth5', 'eth6', 'eth7', 'eth8', 'eth11', 'eth12']
    assert alpha.prepare_pool() == [NEXT + ', '.join(right)]
    assert alpha.prepare_pool() == []  # not again
    alpha.net.undefine()
    assert alpha.prepare_pool() == [NEXT + ', '.join(right), AUTOSTART]
    assert alpha.net.XMLDesc() == live
    VM(1).stop(alpha)
    assert alpha.prepare_pool() == [STOPPED, STARTED]
    assert_right(alpha, right)


# id: what makes something use a NIC and what ends that, what the hook says then, and the kernel to a macvtap
MACVTAP = 'ip link add macvtap9 index $((0xfffff)) link {} type macvtap mode passthru', 'ip link del macvtap9'
BRIDGE = 'ip link set {} master ovirtmgmt', 'ip link set {} nomaster'
ELSEWHERE = {
    'bridge': (BRIDGE, '{} is a port of ovirtmgmt', 'Device or resource busy'),
    'macvtap': (MACVTAP, 'macvtap9 is on {}', 'Invalid argument'),
}


@pytest.mark.parametrize('commands, fault, busy', ELSEWHERE.values(), ids=ELSEWHERE)
def test_nic_that_something_else_uses_is_taken_last(alpha, commands, fault, busy):
    use, free = commands
    vm, late = VM(profiles=('P',)), ALPHA[1:] + ALPHA[:1]
    xml, _ = alpha.hook('before_vm_start', vm.xml, vm.vmfex)
    alpha.run('sh', '-c', use.format('eth3'))
    with pytest.raises(libvirt.libvirtError, match=busy):  # this is why
        alpha.conn.createXML(xml)
    assert 'direct-pool defined: ' + ', '.join(late) in vm.start(alpha)
    assert list(vm.vic_nics(alpha).values()) == ['eth4']
    assert_right(alpha, late)
    big = VM(1, profiles=8 * ('P',), nics=8)
    with pytest.raises(HookError, match='has 7 free NICs of 8, this VM needs 8: .*; ' + fault.format('eth3')):
        alpha.prepare_pool(big)
    alpha.run('sh', '-c', free.format('eth3'))
    assert alpha.prepare_pool(big) == []  # at once

    alpha.run('sh', '-c', use.format('eth5'))  # the next one of a pool in use
    with pytest.raises(HookError) as error:
        alpha.prepare_pool(VM(2))
    assert error.value.says('direct-pool would give VMs eth5, which is not a usable VM-FEX NIC; it can')
    assert str(error.value).endswith(f': migrate these VMs, then try again; {fault.format("eth5")}\n')


@pytest.mark.parametrize('lose', ['destroy', 'update'])
def test_vms_that_libvirt_lost_count_of_run_on_and_keep_their_nics(fabric, alpha, beta, lose):
    lost, vm = VM(1), VM(2)
    lost.start(alpha)
    if lose == 'destroy':
        alpha.net.destroy()
    else:
        what = libvirt.VIR_NETWORK_UPDATE_COMMAND_DELETE, libvirt.VIR_NETWORK_SECTION_FORWARD_INTERFACE
        alpha.net.update(*what, -1, "<interface dev='eth11'/>")
        assert set(alpha.pool_nics().values()) == {0}
    log = vm.start(alpha)
    assert 'direct-pool defined: eth5, eth6, eth7, eth8, eth9, eth10, eth11, eth3, eth4\n' in log
    assert list(vm.vic_nics(alpha).values()) == ['eth5', 'eth6']
    assert list(lost.vic_nics(alpha).values()) == ['eth3', 'eth4']
    lost.migrate(alpha, beta)
    assert alpha.prepare_pool(VM(3, profiles=7 * ('P',), nics=7)) == []  # all are usable again
    vm.stop(alpha)
    assert fabric.requests(host='alpha', operation='DISASSOCIATE') and set(alpha.pool_nics().values()) == {0}
