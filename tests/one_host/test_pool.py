# SPDX-License-Identifier: GPL-2.0-or-later
"""direct-pool, by a real libvirtd, in each state that a VM's start can find it in."""

import concurrent.futures
import os
import subprocess

import libvirt
import pytest

from tests.fake_vdsm.runner import HookError
from tests.lab.hosts import ALPHA
from tests.lab.sysfs import VF, VNIC
from tests.lab.vm import VM
from tests.lab.wait import wait_for

HOST_MAC = '00:25:b5:00:00:0f'


def network(nics, mode='passthrough', name='direct-pool'):
    return "<network><name>{}</name><forward mode='{}'>{}</forward></network>".format(
        name, mode, ''.join("<interface dev='{}'/>".format(nic) for nic in nics))


def prepare(alpha, vm=None):
    """Run the hook as at a VM's start, without starting it. Returns the pool's lines of the log."""
    vm = vm or VM()
    log = alpha.hook('before_vm_start', vm.xml, vm.vmfex, vm.uuid)[1]
    return [line for line in log.splitlines() if 'direct-pool' in line]


def assert_right(alpha, nics=ALPHA):
    net = alpha.conn.networkLookupByName('direct-pool')
    assert (net.isActive(), net.isPersistent(), net.autostart()) == (1, 1, 1)
    assert list(alpha.pool_nics()) == list(nics)
    assert alpha.next_pool_nics() == list(nics)


DEFINED = 'vmfex: direct-pool defined: ' + ', '.join(ALPHA)
NEXT = 'vmfex: direct-pool defined, for its next start, as VMs are on it: '
STOPPED, STARTED, AUTOSTART = ('vmfex: direct-pool ' + done for done in (
    'stopped', 'started', 'set to autostart'))


def test_absent_pool_is_defined_started_and_autostarted(alpha):
    assert prepare(alpha) == [DEFINED, STARTED, AUTOSTART]
    assert_right(alpha)


def test_right_pool_is_not_touched(alpha):
    prepare(alpha)
    before = alpha.run('find', '/etc/libvirt', '/run/libvirt/network', '-printf', '%p %C@ %i\\n')
    assert prepare(alpha) == []
    assert alpha.run('find', '/etc/libvirt', '/run/libvirt/network', '-printf', '%p %C@ %i\\n') == before


def test_right_pool_needs_no_lock(alpha):
    prepare(alpha)
    os.chmod(alpha.path('/run/vdsm'), 0)
    os.rename(alpha.path('/run/vdsm'), alpha.path('/run/elsewhere'))
    assert prepare(alpha) == []


def test_pool_has_the_vmfex_nics_whatever_their_mac_and_no_other(alpha):
    alpha.sysfs.add('eth1', device=VNIC)  # a driver refuses its zeros, but the rule is the device
    alpha.sysfs.add('eth100', device=VF)
    alpha.sysfs.add('eth20', HOST_MAC)  # libvirt leaves a VM's MAC there when the fabric refused it
    alpha.sysfs.add('eth21', vendor='0x8086')
    alpha.sysfs.add('dummy0', vendor=None)
    prepare(alpha)
    assert_right(alpha, ALPHA + ['eth20', 'eth100'])


@pytest.mark.parametrize('nics', [ALPHA, ['eth3'], ['eth0', 'eth99'], []])
def test_inactive_pool_is_brought_up_to_date_and_started(alpha, nics):
    alpha.conn.networkDefineXML(network(nics))
    assert prepare(alpha) == ([DEFINED] if nics != ALPHA else []) + [STARTED, AUTOSTART]
    assert_right(alpha)


def test_pool_keeps_its_uuid(alpha):
    net = alpha.conn.networkDefineXML(network(['eth3']))
    prepare(alpha)
    assert alpha.conn.networkLookupByName('direct-pool').UUID() == net.UUID()


def test_pool_that_is_not_autostarted_gets_autostarted(alpha):
    prepare(alpha)
    alpha.conn.networkLookupByName('direct-pool').setAutostart(0)
    assert prepare(alpha) == [AUTOSTART]
    assert_right(alpha)


def test_transient_pool_is_made_persistent(alpha):
    alpha.conn.networkCreateXML(network(ALPHA))
    assert prepare(alpha) == [DEFINED, AUTOSTART]
    assert_right(alpha)


def test_wrong_transient_pool_is_replaced(alpha):
    alpha.conn.networkCreateXML(network(['eth0', 'eth3']))
    assert prepare(alpha) == [DEFINED, STOPPED, STARTED, AUTOSTART]
    assert_right(alpha)


def test_transient_pool_in_use_is_made_persistent_and_runs_on(alpha):
    VM(1).start(alpha)
    alpha.conn.networkLookupByName('direct-pool').undefine()
    before = alpha.pool_xml()
    assert prepare(alpha) == [NEXT + ', '.join(ALPHA), AUTOSTART]
    assert alpha.pool_xml() == before
    assert_right(alpha)


def test_order_of_the_nics_in_a_pool_plays_no_part(alpha):
    alpha.conn.networkDefineXML(network(reversed(ALPHA))).create()
    assert prepare(alpha) == [AUTOSTART]


@pytest.mark.parametrize('nics', [ALPHA[:-1], ALPHA + ['eth99'], ['eth0'] + ALPHA])
def test_nics_came_or_went_while_no_vm_is_on_the_pool(alpha, nics):
    net = alpha.conn.networkDefineXML(network(nics))
    net.create()
    net.setAutostart(1)
    assert prepare(alpha) == [DEFINED, STOPPED, STARTED]
    assert_right(alpha)


def test_nic_of_the_host_itself_leaves_the_pool(alpha):
    prepare(alpha)
    alpha.sysfs.make_own('eth5')
    assert prepare(alpha)[1:] == [STOPPED, STARTED]
    assert_right(alpha, [nic for nic in ALPHA if nic != 'eth5'])


def test_while_vms_are_on_the_pool_only_its_next_definition_changes(alpha):
    VM(1).start(alpha)
    before = alpha.pool_xml()
    alpha.add_nic('eth12')
    alpha.remove_nic('eth9')
    alpha.sysfs.make_own('eth10')
    log = prepare(alpha, VM(2))
    right = ['eth3', 'eth4', 'eth5', 'eth6', 'eth7', 'eth8', 'eth11', 'eth12']
    assert log == [NEXT + ', '.join(right)]
    assert alpha.pool_xml() == before
    assert alpha.next_pool_nics() == right
    assert prepare(alpha, VM(2)) == []  # not again

    VM(1).stop(alpha)
    assert prepare(alpha) == [STOPPED, STARTED]
    assert_right(alpha, right)


def test_vm_is_not_put_on_a_nic_that_is_no_vmfex_nic_by_now(alpha):
    VM(1).start(alpha)
    before = alpha.pool_xml(), alpha.pool_xml(libvirt.VIR_NETWORK_XML_INACTIVE)
    alpha.sysfs.make_own('eth6')
    assert prepare(alpha, VM(2, ('P',)))
    with pytest.raises(HookError, match='^vmfex: direct-pool would give this VM eth6, which is no'):
        prepare(alpha, VM(2))
    assert alpha.pool_xml() == before[0]


@pytest.mark.parametrize('xml, mode', [
    (network(['eth3'], mode='bridge'), 'bridge'),
    (network(['eth3'], mode='private'), 'private'),
    ('<network><name>direct-pool</name></network>', 'none'),
], ids=['bridge', 'private', 'isolated'])
def test_network_of_another_kind_is_refused_and_left_alone(alpha, xml, mode):
    before = alpha.conn.networkDefineXML(xml).XMLDesc()
    with pytest.raises(HookError, match="is not the hook's, its forward mode is " + mode):
        prepare(alpha)
    assert alpha.pool_xml() == before


def test_host_without_vmfex_nics_is_refused(alpha):
    for nic in ALPHA:
        alpha.sysfs.make_own(nic)
    with pytest.raises(HookError) as error:
        prepare(alpha)
    assert str(error.value).startswith('vmfex: direct-pool has 0 free NICs of 0, this VM needs 2: ')
    assert alpha.conn.listNetworks() == alpha.conn.listDefinedNetworks() == []


def test_vm_that_needs_more_nics_than_are_free_is_refused(alpha):
    for number in range(4):
        VM(number).start(alpha)
    for point, xml in [('before_vm_start', VM(4).xml),
                       ('before_vm_migrate_destination', VM(3).on(alpha).XMLDesc())]:
        with pytest.raises(HookError) as error:
            alpha.hook(point, xml, VM(4).vmfex)
        assert str(error.value).startswith(
            'vmfex: direct-pool has 1 free NIC of 9, this VM needs 2: ')
    VM(5, ('P',)).start(alpha)


def test_refused_vm_changes_nothing(alpha):
    VM(1).start(alpha)
    for nic in ALPHA[3:]:
        alpha.remove_nic(nic)
    before = alpha.pool_xml(), alpha.pool_xml(libvirt.VIR_NETWORK_XML_INACTIVE)
    with pytest.raises(HookError, match='^vmfex: direct-pool has 1 free NIC of 3, this VM needs 2'):
        prepare(alpha, VM(2))
    assert before == (alpha.pool_xml(), alpha.pool_xml(libvirt.VIR_NETWORK_XML_INACTIVE))


def test_vm_that_takes_no_nic_of_the_pool_starts_without_one(alpha):
    vm = VM()
    for vmfex in "{'00:1a:4a:16:99:99': 'P'}", None:
        for point in 'before_vm_start', 'before_vm_migrate_destination':
            assert alpha.hook(point, vm.xml, vmfex)[0] == vm.xml
    assert alpha.conn.listAllNetworks() == []


@pytest.mark.parametrize('run', range(3))
def test_twenty_hooks_at_once_make_one_pool(alpha, run):
    with concurrent.futures.ThreadPoolExecutor(20) as executor:
        logs = list(executor.map(lambda _: prepare(alpha), range(20)))
    assert sorted(filter(None, logs)) == [[DEFINED, STARTED, AUTOSTART]]
    assert_right(alpha)


def test_lock_is_waited_for_and_let_go_when_its_holder_dies(alpha):
    open(alpha.path('/run/vdsm/hook-vmfex.lock'), 'w').close()
    holder = subprocess.Popen(['flock', alpha.path('/run/vdsm/hook-vmfex.lock'), 'sh', '-c',
                               'echo locked; read line'], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE)
    holder.stdout.readline()
    with concurrent.futures.ThreadPoolExecutor() as executor:
        hook = executor.submit(prepare, alpha)
        wait_for(lambda: waits_for_lock(alpha))
        assert alpha.conn.listAllNetworks() == []
        holder.communicate(b'go on\n')
        assert hook.result() == [DEFINED, STARTED, AUTOSTART]


def waits_for_lock(alpha):
    """Tell whether a process waits for the hooks' lock."""
    inode = ':{} '.format(os.stat(alpha.path('/run/vdsm/hook-vmfex.lock')).st_ino)
    with open('/proc/locks') as locks:
        return any('->' in line and inode in line for line in locks)


def test_libvirtd_that_is_down_is_one_line(alpha):
    alpha.kill_libvirtd()
    with pytest.raises(HookError) as error:
        prepare(alpha)
    assert str(error.value).startswith('vmfex: libvirt failed: Failed to connect socket to ')
    assert str(error.value).count('\n') == 1


def test_missing_folder_of_the_lock_is_one_line(alpha):
    os.rmdir(alpha.path('/run/vdsm'))
    with pytest.raises(HookError) as error:
        prepare(alpha)
    assert str(error.value).startswith('vmfex: [Errno 2] No such file or directory: ')
    assert str(error.value).count('\n') == 1


def test_256_nics_are_pooled_in_the_order_a_person_counts(alpha):
    for i in range(12, 259):
        alpha.sysfs.add('eth{}'.format(i))
    prepare(alpha)
    assert_right(alpha, ['eth{}'.format(i) for i in range(3, 259)])
