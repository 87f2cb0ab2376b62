# SPDX-License-Identifier: GPL-2.0-or-later
"""direct-pool, by a real libvirtd, in each state that a VM's start can find it in."""

import concurrent.futures
import os
import re
import subprocess

import libvirt
import pytest

from tests.hook import HOOK
from tests.lab.hosts import ALPHA
from tests.lab.networks import network_xml
from tests.lab.sysfs import VF, VNIC
from tests.lab.vm import VM
from tests.messages import check_stderr
from tests.vdsm_runner import HookError, hook_environment

HOST_MAC = '00:25:b5:00:00:0f'


def assert_right(alpha, nics=ALPHA):
    assert alpha.pool_is_set_up()
    assert list(alpha.pool_nics()) == list(nics)
    assert alpha.next_pool_nics() == list(nics)


DEFINED = 'vmfex: direct-pool defined: ' + ', '.join(ALPHA)
NEXT = 'vmfex: direct-pool defined, for its next start, as VMs are on it: '
STOPPED, STARTED, AUTOSTART = (
    'vmfex: direct-pool ' + done for done in ('stopped', 'started', 'set to autostart')
)


def test_absent_pool_is_defined_started_and_autostarted(alpha):
    assert alpha.prepare_pool() == [DEFINED, STARTED, AUTOSTART]
    assert_right(alpha)


def test_right_pool_is_not_touched(alpha):
    alpha.prepare_pool()
    before = alpha.run('find', '/etc/libvirt', '/run/libvirt/network', '-printf', '%p %C@ %i\\n')
    assert alpha.prepare_pool() == []
    assert alpha.run('find', '/etc/libvirt', '/run/libvirt/network', '-printf', '%p %C@ %i\\n') == before


def test_right_pool_needs_no_lock(alpha):
    alpha.prepare_pool()
    os.chmod(alpha.path('/run/vdsm'), 0)
    os.rename(alpha.path('/run/vdsm'), alpha.path('/run/elsewhere'))
    assert alpha.prepare_pool() == []


def test_pool_has_the_vmfex_nics_whatever_their_mac_and_no_other(alpha):
    alpha.sysfs.add('eth1', device=VNIC)  # a driver refuses its zeros, but the rule is the device
    alpha.sysfs.add('enp6s0f0', HOST_MAC, device=VNIC)
    alpha.sysfs.add('eth100', device=VF, pf='enp6s0f0')
    alpha.sysfs.add('eth20', HOST_MAC)  # libvirt leaves a VM's MAC there when the fabric refused it
    alpha.sysfs.add('eth21', vendor='0x8086')
    alpha.sysfs.add('dummy0', vendor=None)
    alpha.prepare_pool()
    assert_right(alpha, ALPHA + ['eth20', 'eth100'])


@pytest.mark.parametrize('nics', [ALPHA, ['eth3'], ['eth0', 'eth99'], []])
def test_inactive_pool_is_brought_up_to_date_and_started(alpha, nics):
    alpha.conn.networkDefineXML(network_xml(nics))
    assert alpha.prepare_pool() == ([DEFINED] if nics != ALPHA else []) + [STARTED, AUTOSTART]
    assert_right(alpha)


def test_pool_keeps_its_uuid(alpha):
    net = alpha.conn.networkDefineXML(network_xml(['eth3']))
    alpha.prepare_pool()
    assert alpha.net.UUID() == net.UUID()


def test_pool_that_is_not_autostarted_gets_autostarted(alpha):
    alpha.prepare_pool()
    alpha.net.setAutostart(0)
    assert alpha.prepare_pool() == [AUTOSTART]
    assert_right(alpha)


def test_transient_pool_is_made_persistent(alpha):
    alpha.conn.networkCreateXML(network_xml(ALPHA))
    assert alpha.prepare_pool() == [DEFINED, AUTOSTART]
    assert_right(alpha)


def test_wrong_transient_pool_is_replaced(alpha):
    alpha.conn.networkCreateXML(network_xml(['eth0', 'eth3']))
    assert alpha.prepare_pool() == [DEFINED, STOPPED, STARTED, AUTOSTART]
    assert_right(alpha)


def test_transient_pool_in_use_is_made_persistent_and_runs_on(alpha):
    VM(1).start(alpha)
    alpha.net.undefine()
    before = alpha.pool_xml()
    assert alpha.prepare_pool() == [NEXT + ', '.join(ALPHA), AUTOSTART]
    assert alpha.pool_xml() == before
    assert_right(alpha)


def test_order_of_the_nics_in_a_pool_does_not_matter(alpha):
    alpha.conn.networkDefineXML(network_xml(reversed(ALPHA))).create()
    assert alpha.prepare_pool() == [AUTOSTART]


@pytest.mark.parametrize('nics', [ALPHA[:-1], ALPHA + ['eth99'], ['eth0'] + ALPHA])
def test_nics_came_or_went_while_no_vm_is_on_the_pool(alpha, nics):
    net = alpha.conn.networkDefineXML(network_xml(nics))
    net.create()
    net.setAutostart(1)
    assert alpha.prepare_pool() == [DEFINED, STOPPED, STARTED]
    assert_right(alpha)


def test_nic_of_the_host_itself_leaves_the_pool(alpha):
    alpha.prepare_pool()
    alpha.sysfs.make_own('eth5')
    assert alpha.prepare_pool()[1:] == [STOPPED, STARTED]
    assert_right(alpha, [nic for nic in ALPHA if nic != 'eth5'])


def test_while_vms_are_on_the_pool_only_its_next_definition_changes(alpha):
    VM(1).start(alpha)
    before = alpha.pool_xml()
    alpha.add_nic('eth12')
    for nic in 'eth9', 'eth10':
        alpha.remove_nic(nic)
    log = alpha.prepare_pool(VM(2))
    right = ['eth3', 'eth4', 'eth5', 'eth6', 'eth7', 'eth8', 'eth11', 'eth12']
    assert log == [NEXT + ', '.join(right)]
    assert alpha.pool_xml() == before
    assert alpha.next_pool_nics() == right
    assert alpha.prepare_pool(VM(2)) == []  # not again

    VM(1).stop(alpha)
    assert alpha.prepare_pool() == [STOPPED, STARTED]
    assert_right(alpha, right)


def test_no_vm_starts_while_a_free_nic_of_a_pool_in_use_is_the_hosts_own(alpha):
    """Not even on another NIC: of two VMs that start at once, one would get it."""
    VM(1).start(alpha)
    before = alpha.pool_xml(), alpha.pool_xml(libvirt.VIR_NETWORK_XML_INACTIVE)
    alpha.sysfs.make_own('eth11')
    with pytest.raises(HookError, match='^vmfex: direct-pool would give VMs eth11, which is not a usable'):
        alpha.prepare_pool(VM(2, ('P',)))
    assert before == (alpha.pool_xml(), alpha.pool_xml(libvirt.VIR_NETWORK_XML_INACTIVE))
    VM(1).stop(alpha)
    assert alpha.prepare_pool(VM(2))[1:] == [STOPPED, STARTED]
    assert_right(alpha, ALPHA[:-1])


@pytest.mark.parametrize(
    'xml, mode',
    [
        (network_xml(['eth3'], mode='bridge'), 'bridge'),
        (network_xml(['eth3'], mode='private'), 'private'),
        ('<network><name>direct-pool</name></network>', 'none'),
    ],
    ids=['bridge', 'private', 'isolated'],
)
def test_network_of_another_kind_is_refused_and_left_alone(alpha, xml, mode):
    before = alpha.conn.networkDefineXML(xml).XMLDesc()
    with pytest.raises(HookError, match="is not the hook's, its forward mode is " + mode):
        alpha.prepare_pool()
    assert alpha.pool_xml() == before


def test_host_without_vmfex_nics_is_refused(alpha):
    for nic in ALPHA:
        alpha.sysfs.make_own(nic)
    with pytest.raises(HookError) as error:
        alpha.prepare_pool()
    assert str(error.value).startswith('vmfex: direct-pool has 0 free NICs of 0, this VM needs 2: ')
    assert alpha.conn.listNetworks() == alpha.conn.listDefinedNetworks() == []


def test_vm_that_needs_more_nics_than_are_free_is_refused(alpha):
    for number in range(4):
        VM(number).start(alpha)
    for point, xml in [
        ('before_vm_start', VM(4).xml),
        ('before_vm_migrate_destination', VM(3).on(alpha).XMLDesc()),
    ]:
        with pytest.raises(HookError) as error:
            alpha.hook(point, xml, VM(4).vmfex)
        assert str(error.value).startswith('vmfex: direct-pool has 1 free NIC of 9, this VM needs 2: ')
    VM(5, ('P',)).start(alpha)


def test_refused_vm_changes_nothing(alpha):
    VM(1).start(alpha)
    for nic in ALPHA[3:]:
        alpha.remove_nic(nic)
    before = alpha.pool_xml(), alpha.pool_xml(libvirt.VIR_NETWORK_XML_INACTIVE)
    with pytest.raises(HookError, match='^vmfex: direct-pool has 1 free NIC of 3, this VM needs 2'):
        alpha.prepare_pool(VM(2))
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
        logs = list(executor.map(lambda _: alpha.prepare_pool(), range(20)))
    assert sorted(filter(None, logs)) == [[DEFINED, STARTED, AUTOSTART]]
    assert_right(alpha)


def test_256_nics_are_pooled_in_the_order_a_person_counts(alpha):
    for i in range(12, 259):
        alpha.sysfs.add(f'eth{i}')
    alpha.prepare_pool()
    assert_right(alpha, [f'eth{i}' for i in range(3, 259)])


# Networks that somebody else made or changed.

VIRTUALPORT = "<virtualport type='802.1Qbh'><parameters profileid='P'/></virtualport>"
FOREIGN = {
    'virtualport': VIRTUALPORT,
    'portgroup': f"<portgroup name='all' default='yes'>{VIRTUALPORT}</portgroup>",
    'vlan': "<vlan><tag id='7'/></vlan>",
    'port': "<port isolated='yes'/>",
    'metadata': "<metadata><x:y xmlns:x='urn:x'><interface dev='eth99'/></x:y></metadata>",
}


@pytest.mark.parametrize('setting', FOREIGN.values(), ids=list(FOREIGN))
def test_vm_starts_though_its_pool_had_settings_of_somebody_elses(alpha, setting):
    """All but metadata would keep each VM from starting."""
    net = alpha.conn.networkDefineXML(network_xml(ALPHA, settings=setting))
    net.create()
    net.setAutostart(1)
    vm = VM()
    assert re.findall('direct-pool (.*)', vm.start(alpha)) == [
        'defined: ' + ', '.join(ALPHA),
        'stopped',
        'started',
    ]
    assert_right(alpha)
    assert alpha.net.UUID() == net.UUID()
    assert alpha.prepare_pool(VM(2)) == []


def test_pool_with_settings_of_somebody_elses_runs_on_while_a_vm_is_on_it(alpha):
    on, other = VM(1, profiles=('P',)), VM(2)
    xml, _ = alpha.hook('before_vm_start', on.xml, on.vmfex)
    net = alpha.net
    net.destroy()
    net.undefine()
    alpha.conn.networkDefineXML(network_xml(ALPHA, settings=VIRTUALPORT)).create()
    alpha.conn.defineXML(xml).create()  # with the pool's own port profile it goes
    before = alpha.pool_xml()
    with pytest.raises(libvirt.libvirtError, match='mismatched profileids'):
        other.start(alpha)
    assert alpha.pool_xml() == before
    assert alpha.prepare_pool(other) == []  # its next definition is right by now
    on.stop(alpha)
    other.start(alpha)


def test_next_definition_follows_the_nics_while_vms_are_on_the_pool(alpha):
    VM(1).start(alpha)
    alpha.add_nic('eth12')
    assert alpha.prepare_pool(VM(2)) == [NEXT + ', '.join(ALPHA + ['eth12'])]
    alpha.remove_nic('eth12')
    assert alpha.prepare_pool(VM(2)) == [NEXT + ', '.join(ALPHA)]
    assert_right(alpha)


def test_next_definition_that_is_wrong_is_put_right_without_a_restart(alpha):
    alpha.prepare_pool()
    alpha.redefine_pool(['eth3'], FOREIGN['vlan'])
    assert alpha.prepare_pool() == [DEFINED]
    assert_right(alpha)


# VM-FEX NICs that something else uses.


def use_elsewhere(host, nic, by):
    """Put a bridge or a macvtap on a NIC, in the kernel and in the hooks' sysfs."""
    if by == 'macvtap9':
        index = str(256 * int(host.pid) + 255)
        host.run(
            'ip',
            'link',
            'add',
            'macvtap9',
            'index',
            index,
            'link',
            nic,
            'type',
            'macvtap',
            'mode',
            'passthru',
        )
    else:
        host.run('ip', 'link', 'set', nic, 'master', by)
    host.sysfs.put_on(nic, by, bridge=by != 'macvtap9')


def free(host, nic, by):
    host.run(*['ip', 'link', 'del', by] if by == 'macvtap9' else ['ip', 'link', 'set', nic, 'nomaster'])
    host.sysfs.take_off(nic, by)


USERS = pytest.mark.parametrize(
    'by, says, busy',
    [
        ('ovirtmgmt', 'eth3 is a port of ovirtmgmt', 'Device or resource busy'),
        ('macvtap9', 'macvtap9 is on eth3', 'Invalid argument'),
    ],
)


@USERS
def test_nic_that_something_else_uses_is_taken_last(alpha, by, says, busy):
    vm, late = VM(profiles=('P',)), ALPHA[1:] + ALPHA[:1]
    xml, _ = alpha.hook('before_vm_start', vm.xml, vm.vmfex)
    use_elsewhere(alpha, 'eth3', by)
    with pytest.raises(libvirt.libvirtError, match=busy):  # this is why
        alpha.conn.createXML(xml)
    assert 'direct-pool defined: ' + ', '.join(late) in vm.start(alpha)
    assert list(vm.vic_nics(alpha).values()) == ['eth4']
    assert_right(alpha, late)
    with pytest.raises(HookError, match='has 7 free NICs of 8, this VM needs 8: .*; ' + says + '\n'):
        alpha.prepare_pool(VM(1, profiles=8 * ('P',), nics=8))
    free(alpha, 'eth3', by)
    assert alpha.prepare_pool(VM(1, profiles=8 * ('P',), nics=8)) == []  # at once
    vm.stop(alpha)
    assert_right(alpha, late)


@USERS
def test_vm_is_refused_if_something_else_uses_the_next_nic_of_a_pool_in_use(alpha, by, says, busy):
    VM(1, profiles=('P',)).start(alpha)
    use_elsewhere(alpha, 'eth4', by)
    with pytest.raises(HookError) as error:
        alpha.prepare_pool()
    assert error.value.says('direct-pool would give VMs eth4, which is not a usable VM-FEX NIC; it can')
    assert str(error.value).endswith(
        ': migrate these VMs, then try again; ' + says.replace('eth3', 'eth4') + '\n'
    )
    free(alpha, 'eth4', by)
    VM(2).start(alpha)


@pytest.mark.parametrize('lose', ['destroy', 'update'])
def test_vms_that_libvirt_lost_count_of_run_on_and_keep_their_nics(fabric, alpha, beta, lose):
    lost, vm = VM(1), VM(2)
    lost.start(alpha)
    if lose == 'destroy':
        alpha.net.destroy()
    else:
        nic = "<interface dev='eth11'/>"
        section = libvirt.VIR_NETWORK_SECTION_FORWARD_INTERFACE
        alpha.net.update(libvirt.VIR_NETWORK_UPDATE_COMMAND_DELETE, section, -1, nic)
    assert set(vm.vic_nics(alpha).values() if vm.runs_on(alpha) else alpha.pool_nics().values()) <= {0}
    log = vm.start(alpha)
    assert 'direct-pool defined: eth5, eth6, eth7, eth8, eth9, eth10, eth11, eth3, eth4\n' in log
    assert list(vm.vic_nics(alpha).values()) == ['eth5', 'eth6']
    assert list(lost.vic_nics(alpha).values()) == ['eth3', 'eth4']
    lost.migrate(alpha, beta)
    lost.stop(beta)
    assert alpha.prepare_pool(VM(3, profiles=7 * ('P',), nics=7)) == []  # all are usable again
    vm.stop(alpha)
    assert fabric.requests(host='alpha', operation='DISASSOCIATE') and set(alpha.pool_nics().values()) == {0}


def test_new_nics_of_a_host_are_named_where_a_pool_in_use_has_too_few(alpha):
    VM(1).start(alpha)
    alpha.add_nic('eth12')
    with pytest.raises(
        HookError, match='has 7 free .* 8: .*; eth12 comes when the VMs on direct-pool have left'
    ):
        alpha.prepare_pool(VM(2, profiles=8 * ('P',), nics=8))


# The command line says what the next start would do.


def run_test(host, xml, vmfex=None):
    """Run the hook with --test. Returns its exit status, and the lines of its output and of its errors."""
    env = hook_environment(vdsm=host.vdsm, custom={'vmfex': vmfex} if vmfex else {})
    command = [*host.hook_command(), HOOK, '--test', '-']
    done = subprocess.run(
        command, env=env, input=xml, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    check_stderr(done.stderr, failed=True)
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


def test_test_says_what_would_happen_and_does_not_do_it(alpha):
    vm = VM()
    status, out, err = run_test(alpha, vm.xml, vm.vmfex)
    assert (status, err) == (0, [])
    assert out[-4:] == ['would log: ' + line for line in (DEFINED, STARTED, AUTOSTART)] + [
        'this VM would take 2 NICs of direct-pool'
    ]
    assert alpha.conn.listAllNetworks() == []
    alpha.prepare_pool()
    status, out, err = run_test(alpha, vm.xml, vm.vmfex)
    assert (status, err) == (0, []) and 'direct-pool ' not in ''.join(out[:-1])
    assert run_test(alpha, VM(profiles=()).xml)[1][-1] == 'this VM would take 0 NICs of direct-pool'
    too_many = VM(profiles=10 * ('P',), nics=10)
    status, out, [line] = run_test(alpha, too_many.xml, too_many.vmfex)
    assert status == 2 and line.startswith('vmfex: direct-pool has 9 free NICs of 9, this VM needs 10: ')
    use_elsewhere(alpha, 'eth5', 'ovirtmgmt')
    assert 'not usable: eth5 is a port of ovirtmgmt' in run_test(alpha, vm.xml, vm.vmfex)[1]


def test_test_of_a_vm_that_runs_here_counts_its_nics_as_its_own(alpha):
    vm, other = (VM(number, profiles=8 * ('P',), nics=8) for number in range(2))
    vm.start(alpha)
    for flags in 0, libvirt.VIR_DOMAIN_XML_INACTIVE:
        status, out, err = run_test(alpha, vm.on(alpha).XMLDesc(flags), vm.vmfex)
        assert (status, err) == (0, []) and not [line for line in out if line.startswith('not usable')]
        assert out[-1] == 'this VM would take 8 NICs of direct-pool'
    status, _, [line] = run_test(alpha, other.xml, other.vmfex)
    assert status == 2 and line.startswith('vmfex: direct-pool has 1 free NIC of 9, this VM needs 8: ')
