# SPDX-License-Identifier: GPL-2.0-or-later
"""direct-pool, by a real libvirtd, in each state that a VM's start can find it in."""

import concurrent.futures
import os
import subprocess

import libvirt
import pytest

from conftest import ALPHA
from sysfs import VF, VNIC
from vdsm_runner import HookError
from vm import VM
from wait import wait_for

VF_MAC = '02:00:00:00:00:00'
HOST_MAC = '00:25:b5:00:00:0f'


def network(nics, mode='passthrough', name='direct-pool'):
    return "<network><name>{}</name><forward mode='{}'>{}</forward></network>".format(
        name, mode, ''.join("<interface dev='{}'/>".format(nic) for nic in nics))


def prepare(host, vm=None):
    """Run the hook as at a VM's start, without starting it. Returns the pool's lines of the log."""
    vm = vm or VM()
    log = host.hook('before_vm_start', vm.xml, vm.vmfex, vm.uuid)[1]
    return [line for line in log.splitlines() if 'direct-pool' in line]


def assert_right(host, nics=ALPHA):
    net = host.conn.networkLookupByName('direct-pool')
    assert (net.isActive(), net.isPersistent(), net.autostart()) == (1, 1, 1)
    assert list(host.pool_nics()) == list(nics)
    assert host.next_pool_nics() == list(nics)


DEFINED = 'vmfex: direct-pool defined: ' + ', '.join(ALPHA)
NEXT = 'vmfex: direct-pool defined, for its next start, as VMs are on it: '
STOPPED, STARTED, AUTOSTART = ('vmfex: direct-pool ' + done for done in (
    'stopped', 'started', 'set to autostart'))


def test_absent_pool_is_defined_started_and_autostarted(host):
    assert prepare(host) == [DEFINED, STARTED, AUTOSTART]
    assert_right(host)


def test_right_pool_is_not_touched(host):
    prepare(host)
    before = host.run('find', '/etc/libvirt', '/run/libvirt/network', '-printf', '%p %C@ %i\\n')
    assert prepare(host) == []
    assert host.run('find', '/etc/libvirt', '/run/libvirt/network', '-printf', '%p %C@ %i\\n') == before


def test_right_pool_needs_no_lock(host):
    prepare(host)
    os.chmod(host.path('/run/vdsm'), 0)
    os.rename(host.path('/run/vdsm'), host.path('/run/elsewhere'))
    assert prepare(host) == []


def test_pool_has_the_free_vic_nics_and_no_other(host):
    host.sysfs.add('eth1', HOST_MAC, device=VNIC)
    host.sysfs.add('eth100', device=VF)
    host.sysfs.add('eth20', VF_MAC)
    host.sysfs.add('eth21', vendor='0x8086')
    host.sysfs.add('dummy0', vendor=None)
    prepare(host)
    assert_right(host, ALPHA + ['eth20', 'eth100'])


@pytest.mark.parametrize('nics', [ALPHA, ['eth3'], ['eth0', 'eth99'], []])
def test_inactive_pool_is_brought_up_to_date_and_started(host, nics):
    host.conn.networkDefineXML(network(nics))
    assert prepare(host) == ([DEFINED] if nics != ALPHA else []) + [STARTED, AUTOSTART]
    assert_right(host)


def test_pool_keeps_its_uuid(host):
    net = host.conn.networkDefineXML(network(['eth3']))
    prepare(host)
    assert host.conn.networkLookupByName('direct-pool').UUID() == net.UUID()


def test_pool_that_is_not_autostarted_gets_autostarted(host):
    prepare(host)
    host.conn.networkLookupByName('direct-pool').setAutostart(0)
    assert prepare(host) == [AUTOSTART]
    assert_right(host)


def test_transient_pool_is_made_persistent(host):
    host.conn.networkCreateXML(network(ALPHA))
    assert prepare(host) == [DEFINED, AUTOSTART]
    assert_right(host)


def test_wrong_transient_pool_is_replaced(host):
    host.conn.networkCreateXML(network(['eth0', 'eth3']))
    assert prepare(host) == [DEFINED, STOPPED, STARTED, AUTOSTART]
    assert_right(host)


def test_transient_pool_in_use_is_made_persistent_and_runs_on(host):
    VM(1).start(host)
    host.conn.networkLookupByName('direct-pool').undefine()
    before = host.pool_xml()
    assert prepare(host) == [NEXT + ', '.join(ALPHA), AUTOSTART]
    assert host.pool_xml() == before
    assert_right(host)


def test_order_of_the_nics_in_a_pool_plays_no_part(host):
    host.conn.networkDefineXML(network(reversed(ALPHA))).create()
    assert prepare(host) == [AUTOSTART]


@pytest.mark.parametrize('nics', [ALPHA[:-1], ALPHA + ['eth99'], ['eth0'] + ALPHA])
def test_nics_came_or_went_while_no_vm_is_on_the_pool(host, nics):
    net = host.conn.networkDefineXML(network(nics))
    net.create()
    net.setAutostart(1)
    assert prepare(host) == [DEFINED, STOPPED, STARTED]
    assert_right(host)


def test_nic_of_the_host_itself_leaves_the_pool(host):
    prepare(host)
    host.sysfs.set_mac('eth5', HOST_MAC)
    assert prepare(host)[1:] == [STOPPED, STARTED]
    assert_right(host, [nic for nic in ALPHA if nic != 'eth5'])


def test_while_vms_are_on_the_pool_only_its_next_definition_changes(host):
    VM(1).start(host)
    before = host.pool_xml()
    host.add_nic('eth12')
    host.remove_nic('eth9')
    host.sysfs.set_mac('eth10', HOST_MAC)
    log = prepare(host, VM(2))
    right = ['eth3', 'eth4', 'eth5', 'eth6', 'eth7', 'eth8', 'eth11', 'eth12']
    assert log == [NEXT + ', '.join(right)]
    assert host.pool_xml() == before
    assert host.next_pool_nics() == right
    assert prepare(host, VM(2)) == []  # not again

    VM(1).stop(host)
    assert prepare(host)[1:] == [STOPPED, STARTED]
    assert_right(host, right)


def test_vm_is_not_put_on_a_nic_that_is_the_hosts_own_by_now(host):
    VM(1).start(host)
    before = host.pool_xml(), host.pool_xml(libvirt.VIR_NETWORK_XML_INACTIVE)
    host.sysfs.set_mac('eth6', HOST_MAC)
    assert prepare(host, VM(2, ('P',)))
    with pytest.raises(HookError, match='^vmfex: direct-pool would give this VM eth6, which is no'):
        prepare(host, VM(2))
    assert host.pool_xml() == before[0]


@pytest.mark.parametrize('xml, mode', [
    (network(['eth3'], mode='bridge'), 'bridge'),
    (network(['eth3'], mode='private'), 'private'),
    ('<network><name>direct-pool</name></network>', 'none'),
], ids=['bridge', 'private', 'isolated'])
def test_network_of_another_kind_is_refused_and_left_alone(host, xml, mode):
    before = host.conn.networkDefineXML(xml).XMLDesc()
    with pytest.raises(HookError, match="is not the hook's, its forward mode is " + mode):
        prepare(host)
    assert host.pool_xml() == before


def test_host_without_free_nics_is_refused(host):
    for nic in ALPHA:
        host.sysfs.set_mac(nic, HOST_MAC)
    with pytest.raises(HookError) as error:
        prepare(host)
    assert str(error.value).startswith('vmfex: direct-pool has 0 free NICs of 0, this VM needs 2: ')
    assert host.conn.listNetworks() == host.conn.listDefinedNetworks() == []


def test_vm_that_needs_more_nics_than_are_free_is_refused(host):
    for number in range(4):
        VM(number).start(host)
    for point, xml in [('before_vm_start', VM(4).xml),
                       ('before_vm_migrate_destination', VM(3).on(host).XMLDesc())]:
        with pytest.raises(HookError) as error:
            host.hook(point, xml, VM(4).vmfex)
        assert str(error.value).startswith(
            'vmfex: direct-pool has 1 free NIC of 9, this VM needs 2: ')
    VM(5, ('P',)).start(host)


def test_refused_vm_changes_nothing(host):
    VM(1).start(host)
    for nic in ALPHA[3:]:
        host.remove_nic(nic)
    before = host.pool_xml(), host.pool_xml(libvirt.VIR_NETWORK_XML_INACTIVE)
    with pytest.raises(HookError, match='^vmfex: direct-pool has 1 free NIC of 9, this VM needs 2'):
        prepare(host, VM(2))
    assert before == (host.pool_xml(), host.pool_xml(libvirt.VIR_NETWORK_XML_INACTIVE))


def test_vm_that_takes_no_nic_of_the_pool_starts_without_one(host):
    vm = VM()
    for vmfex in "{'00:1a:4a:16:99:99': 'P'}", None:
        for point in 'before_vm_start', 'before_vm_migrate_destination':
            assert host.hook(point, vm.xml, vmfex)[0] == vm.xml
    assert host.conn.listAllNetworks() == []


@pytest.mark.parametrize('run', range(3))
def test_twenty_hooks_at_once_make_one_pool(host, run):
    with concurrent.futures.ThreadPoolExecutor(20) as executor:
        logs = list(executor.map(lambda _: prepare(host), range(20)))
    assert sorted(filter(None, logs)) == [[DEFINED, STARTED, AUTOSTART]]
    assert_right(host)


def test_lock_is_waited_for_and_let_go_when_its_holder_dies(host):
    open(host.path('/run/vdsm/hook-vmfex.lock'), 'w').close()
    holder = subprocess.Popen(['flock', host.path('/run/vdsm/hook-vmfex.lock'), 'sh', '-c',
                               'echo locked; read line'], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE)
    holder.stdout.readline()
    with concurrent.futures.ThreadPoolExecutor() as executor:
        hook = executor.submit(prepare, host)
        wait_for(lambda: waits_for_lock(host))
        assert host.conn.listAllNetworks() == []
        holder.communicate(b'go on\n')
        assert hook.result() == [DEFINED, STARTED, AUTOSTART]


def waits_for_lock(host):
    """Tell whether a process waits for the hooks' lock."""
    inode = ':{} '.format(os.stat(host.path('/run/vdsm/hook-vmfex.lock')).st_ino)
    with open('/proc/locks') as locks:
        return any('->' in line and inode in line for line in locks)


def test_libvirtd_that_is_down_is_one_line(host):
    host.kill_libvirtd()
    with pytest.raises(HookError) as error:
        prepare(host)
    assert str(error.value).startswith('vmfex: libvirt failed: Failed to connect socket to ')
    assert str(error.value).count('\n') == 1


def test_missing_folder_of_the_lock_is_one_line(host):
    os.rmdir(host.path('/run/vdsm'))
    with pytest.raises(HookError) as error:
        prepare(host)
    assert str(error.value).startswith('vmfex: [Errno 2] No such file or directory: ')
    assert str(error.value).count('\n') == 1


def test_256_nics_are_pooled_in_the_order_a_person_counts(host):
    for i in range(12, 259):
        host.sysfs.add('eth{}'.format(i))
    prepare(host)
    assert_right(host, ['eth{}'.format(i) for i in range(3, 259)])
