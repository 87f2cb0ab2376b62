# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of direct-pool, decided on plain values; tests/lab has it with a real libvirtd."""

import contextlib

import pytest

from tests.lab.sysfs import VNIC, Sysfs
from tests.unit import refused
from tests.xml_builders import network_xml, same
from vmfex import host as host_module
from vmfex import lock as lock_module
from vmfex import pool as pool_module
from vmfex.pool import Network, Pool, definition, parse_network, prepare_pool

NICS = ['eth3', 'eth4', 'eth10']
BRIDGED, DOWN = 'eth3 is a port of ovirtmgmt', 'PF pf0 of eth4 is down'
HOST = dict.fromkeys(NICS, '')
BRIDGED_HOST, DOWN_HOST = {**HOST, 'eth3': BRIDGED}, {**HOST, 'eth4': DOWN}
BOTH_HOST, SMALLER_HOST = {**BRIDGED_HOST, 'eth4': DOWN}, {'eth3': '', 'eth10': ''}


def network(nics=NICS, used=(), foreign=()):
    return Network({nic: int(nic in used) for nic in nics}, set(foreign))


def pool(live=NICS, next=None, used=(), foreign=(), next_foreign=(), host=HOST, **state):
    """Return a Pool: one that is right for its host, but for what is given."""
    later = network(live if next is None else next, (), next_foreign or foreign)
    state = {'uuid': 'uuid', 'active': True, 'persistent': True, 'autostart': True, **state}
    live = network(live, used, foreign)
    return Pool(live=live, next=later, used=set(used), faults=host, others={'eth0'}, **state)


LAST, BACKWARDS = ['eth4', 'eth10', 'eth3'], NICS[::-1]  # eth3 comes last
OWN = NICS + ['eth0']  # with one of the host's own
STOPPED, STARTED, AUTOSTART = (f'direct-pool {done}' for done in ('stopped', 'started', 'set to autostart'))
RESTARTED = [STOPPED, STARTED]
ALL, ALL_BUT_LAST = (f'direct-pool defined: {", ".join(nics)}' for nics in (NICS, LAST))
LATER = ', for its next start, as VMs are on it:'
NEXT, NEXT_BUT_LAST = ALL.replace(':', LATER), ALL_BUT_LAST.replace(':', LATER)

# id: (pool, how many NICs a VM can have, lines for the log)
STEPS = {
    'right': (pool(), 3, []),
    'absent': (pool([], active=False, persistent=False, autostart=False), 3, [ALL, STARTED, AUTOSTART]),
    'inactive': (pool(active=False), 3, [STARTED]),
    'not-autostarted': (pool(autostart=False), 3, [AUTOSTART]),
    'transient': (pool(persistent=False, autostart=False), 3, [ALL, AUTOSTART]),
    'transient-and-in-use': (pool(persistent=False, used=['eth3']), 2, [NEXT]),
    'nic-came': (pool(['eth3', 'eth4']), 3, [ALL, *RESTARTED]),
    'nic-is-the-hosts-own': (pool(OWN), 3, [ALL, *RESTARTED]),
    'only-live-is-wrong': (pool(['eth3'], next=NICS), 3, RESTARTED),
    'only-next-is-wrong': (pool(next=['eth3']), 3, [ALL]),
    'nic-came-in-use': (pool(['eth3', 'eth4'], used=['eth3']), 1, [NEXT]),
    'hosts-own-is-in-use': (pool(OWN, used=['eth0']), 3, [NEXT]),
    'foreign-settings': (pool(foreign=['vlan']), 3, [ALL, *RESTARTED]),
    'foreign-settings-next': (pool(next_foreign=['vlan']), 3, [ALL]),
    'unusable-one-is-first': (pool(host=BRIDGED_HOST), 2, [ALL_BUT_LAST, *RESTARTED]),
    'two-unusable-ones-are-last': (pool(BACKWARDS, host=BOTH_HOST), 1, []),
    'usable-again': (pool(LAST), 3, []),
    'unusable-one-is-last-in-use': (pool(used=['eth4'], host={**HOST, 'eth10': BRIDGED}), 1, []),
    'unusable-one-is-not-last-in-use': (pool(used=['eth4', 'eth10'], host=BRIDGED_HOST), 0, [NEXT_BUT_LAST]),
}


@pytest.mark.parametrize('pool, most, done', STEPS.values(), ids=list(STEPS))
def test_steps_make_the_pool_right_and_never_restart_one_that_is_in_use(pool, most, done):
    assert [step.line for step in pool.steps(most)] == done
    with refused('direct-pool has '):
        pool.steps(most + 1)


def few(count, needed, more=''):
    cure = 'start it on another host, or give this one more dynamic vNICs or VFs'
    return f'direct-pool has {count}, this VM needs {needed}: {cure}{more}'


def wrong(nic, more=''):
    fault = f"{nic}, which is not a usable VM-FEX NIC; it can't leave the pool while VMs are on it"
    return f'direct-pool would give VMs {fault}: migrate these VMs, then try again{more}'


COMES = '; eth10 comes when the VMs on direct-pool have left'
# id: (pool, how many NICs the VM needs, refusal)
REFUSED = {
    'more-than-all': (pool(), 4, few('3 free NICs of 3', 4)),
    'cannot-grow-now': (pool(NICS[:2], used=['eth3']), 2, few('1 free NIC of 2', 2, COMES)),
    'unusable-ones': (pool(host=BOTH_HOST), 2, few('1 free NIC of 1', 2, f'; {BRIDGED}; {DOWN}')),
    'next-one-is-gone': (pool(used=['eth3'], host=SMALLER_HOST), 1, wrong('eth4')),
    'next-one-is-unusable': (pool(used=['eth3'], host=DOWN_HOST), 1, wrong('eth4', f'; {DOWN}')),
    'last-one-is-the-hosts-own': (pool(OWN, used=['eth3']), 1, wrong('eth0')),
}


@pytest.mark.parametrize('pool, need, says', REFUSED.values(), ids=list(REFUSED))
def test_vm_that_would_not_get_its_nics_is_refused(pool, need, says):
    with refused(says) as refusal:
        pool.check(need)
    assert str(refusal.value) == says


def test_definition_has_the_nics_in_their_order_and_the_uuid_that_there_was():
    assert same(definition(NICS, ''), network_xml(NICS))
    uuid = '8b3f4a4e-6d0c-4f59-9a3e-0b9c4d3c7e11'
    assert f'<uuid>{uuid}</uuid>' in definition(NICS, uuid)
    assert parse_network(definition(NICS, uuid)) == network()


@pytest.mark.parametrize(
    'part, becomes, foreign',
    [
        ('<network>', "<network connections='2'>", set()),
        ('<network>', "<network trustGuestRxFilters='yes'>", {'trustGuestRxFilters'}),
        ('</network>', "<metadata><interface dev='eth99'/></metadata></network>", {'metadata'}),
        ('</forward>', "<driver name='vfio'/></forward>", {'driver'}),
    ],
)
def test_live_network_is_read_with_its_connections_and_what_is_not_ours(part, becomes, foreign):
    xml = network_xml(NICS).replace('"eth4"', '"eth4" connections="1"').replace(part, becomes)
    assert parse_network(xml) == network(used=['eth4'], foreign=foreign)
    assert list(parse_network(xml).nics) == NICS


@pytest.mark.parametrize('mode, xml', [('bridge', network_xml(NICS, 'bridge')), ('none', '<network/>')])
def test_network_of_another_kind_is_somebody_elses(mode, xml):
    with refused(f"network direct-pool is not the hook's, its forward mode is {mode}"):
        parse_network(xml)


# The same with libvirt's own test driver, which needs no libvirtd.


@pytest.fixture
def conn(monkeypatch, tmpdir):
    """A virConnect that the hook uses, on a host whose NICs are in conn.sysfs."""
    libvirt = pytest.importorskip('libvirt')

    @contextlib.contextmanager
    def connection():
        yield conn

    tmpdir.join('node.xml').write('<node/>')  # test:///default is one for all of a process
    conn = libvirt.open(f'test://{tmpdir}/node.xml')
    conn.sysfs = Sysfs(str(tmpdir.join('sys')))
    # This driver knows no flags: its active networks are as their definitions.
    xml_desc = libvirt.virNetwork.XMLDesc
    monkeypatch.setattr(libvirt.virNetwork, 'XMLDesc', lambda network, flags: xml_desc(network))
    monkeypatch.setattr(pool_module, 'libvirt_connection', connection)
    monkeypatch.setattr(host_module, 'SYS_NET', conn.sysfs.class_net)
    monkeypatch.setattr(lock_module, 'LOCK', str(tmpdir.join('lock')))
    return conn


def test_pool_is_made_of_the_hosts_nics_left_alone_and_made_anew_with_its_uuid_when_they_change(conn):
    names = ['eth3', '&"<th3']  # any names
    for name in names:
        conn.sysfs.add(name)
    assert prepare_pool(2) == [f'direct-pool defined: {", ".join(names)}', STARTED, AUTOSTART]
    made = Pool.read(conn)
    assert list(made.live.nics) == names and (made.active, made.persistent, made.autostart) == (1, 1, 1)
    assert prepare_pool(2) == []
    with refused('has 2 free NICs of 2, this VM needs 3'):
        prepare_pool(3)

    conn.networkLookupByName('direct-pool').destroy()  # at a restart, this driver keeps the old definition
    conn.sysfs.make_own('eth3')
    conn.sysfs.add('eth4', device=VNIC)
    conn.sysfs.add('eth5')
    assert prepare_pool(2) == ['direct-pool defined: eth5, &"<th3', STARTED]
    after = Pool.read(conn)
    assert (after.uuid, list(after.live.nics)) == (made.uuid, ['eth5', '&"<th3'])
    assert after.others == {'eth3', 'eth4'}


def test_vm_that_takes_no_nic_needs_no_libvirt():
    assert prepare_pool(0) == []
