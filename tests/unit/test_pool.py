# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of direct-pool, decided on plain values; tests/lab has it with a real libvirtd."""

import pytest

from tests.unit import refused
from tests.xml_builders import network_xml, same
from vmfex.host import HostNICs
from vmfex.pool import NO_POOL, Network, Pool, definition, parse_network, plan

NICS = ['eth3', 'eth4', 'eth10']
BRIDGED, DOWN = 'eth3 is a port of ovirtmgmt', 'PF pf0 of eth4 is down'


def make_host(*gone, **faults):
    """Return the NICs of a host: these, less those gone, and with faults, by NIC."""
    return HostNICs({nic: faults.get(nic, '') for nic in NICS if nic not in gone}, {'eth0'})


HOST, BRIDGED_HOST, BOTH_HOST = make_host(), make_host(eth3=BRIDGED), make_host(eth3=BRIDGED, eth4=DOWN)


def network(nics=NICS, used=(), foreign=()):
    return Network({nic: int(nic in used) for nic in nics}, set(foreign))


def pool(live=NICS, next=None, used=(), foreign=(), next_foreign=(), **state):
    """Return a Pool: one that is right for HOST, but for what is given."""
    later = network(live if next is None else next, (), next_foreign or foreign)
    state = {'active': True, 'persistent': True, 'autostart': True, **state}
    return Pool('uuid', live=network(live, used, foreign), next=later, used=set(used), **state)


LAST, BACKWARDS = ['eth4', 'eth10', 'eth3'], NICS[::-1]  # eth3 comes last
MORE, OWN = NICS + ['eth11'], NICS + ['eth0']  # with one that is gone, with one of the host's own
STOPPED, STARTED, AUTOSTART = (f'direct-pool {done}' for done in ('stopped', 'started', 'set to autostart'))
RESTARTED = [STOPPED, STARTED]
ALL, ALL_BUT_LAST = (f'direct-pool defined: {", ".join(nics)}' for nics in (NICS, LAST))
NEXT, NEXT_BUT_LAST = (
    line.replace(':', ', for its next start, as VMs are on it:') for line in (ALL, ALL_BUT_LAST)
)

# id: (pool, host, how many NICs a VM can have, lines for the log)
PLANS = {
    'right': (pool(), HOST, 3, []),
    'right-and-in-use': (pool(used=['eth3', 'eth4']), HOST, 1, []),
    'absent': (NO_POOL, HOST, 3, [ALL, STARTED, AUTOSTART]),
    'inactive': (pool(active=False), HOST, 3, [STARTED]),
    'inactive-and-wrong': (pool(['eth3'], active=False), HOST, 3, [ALL, STARTED]),
    'not-autostarted': (pool(autostart=False), HOST, 3, [AUTOSTART]),
    'transient': (pool(persistent=False, autostart=False), HOST, 3, [ALL, AUTOSTART]),
    'transient-and-in-use': (pool(persistent=False, used=['eth3']), HOST, 2, [NEXT]),
    'nic-came': (pool(['eth3', 'eth4']), HOST, 3, [ALL, *RESTARTED]),
    'nic-is-the-hosts-own': (pool(OWN), HOST, 3, [ALL, *RESTARTED]),
    'only-live-is-wrong': (pool(['eth3'], next=NICS), HOST, 3, RESTARTED),
    'only-next-is-wrong': (pool(next=['eth3']), HOST, 3, [ALL]),
    'nic-came-in-use': (pool(['eth3', 'eth4'], used=['eth3']), HOST, 1, [NEXT]),
    'nic-gone-comes-after-in-use': (pool(MORE, used=['eth3']), HOST, 2, [NEXT]),
    'hosts-own-is-in-use': (pool(OWN, used=['eth0']), HOST, 3, [NEXT]),
    'used-one-is-gone': (pool(used=['eth3']), make_host('eth3'), 2, [NEXT.replace('eth3, ', '')]),
    'only-live-is-wrong-in-use': (pool(NICS[:2], next=NICS, used=['eth3']), HOST, 1, []),
    'foreign-settings': (pool(foreign=['vlan']), HOST, 3, [ALL, *RESTARTED]),
    'foreign-settings-next': (pool(next_foreign=['vlan']), HOST, 3, [ALL]),
    'absent-one-unusable': (NO_POOL, BRIDGED_HOST, 2, [ALL_BUT_LAST, STARTED, AUTOSTART]),
    'unusable-one-is-first': (pool(), BRIDGED_HOST, 2, [ALL_BUT_LAST, *RESTARTED]),
    'two-unusable-ones-are-last': (pool(BACKWARDS), BOTH_HOST, 1, []),
    'usable-again': (pool(LAST), HOST, 3, []),
    'unusable-one-is-last-in-use': (pool(used=['eth4']), make_host(eth10=BRIDGED), 1, []),
    'unusable-one-comes-last-next-time': (
        pool(['eth4', 'eth3', 'eth10'], used=['eth4', 'eth10']),
        BRIDGED_HOST,
        0,
        [NEXT_BUT_LAST],
    ),
}


@pytest.mark.parametrize('pool, host, most, done', PLANS.values(), ids=list(PLANS))
def test_plan_makes_the_pool_right_and_never_restarts_one_that_is_in_use(pool, host, most, done):
    assert [line for line, _ in plan(most, pool, host)] == done
    with refused('direct-pool has '):
        plan(most + 1, pool, host)


def few(count, needed, more=''):
    cure = 'start it on another host, or give this one more dynamic vNICs or VFs'
    return f'direct-pool has {count}, this VM needs {needed}: {cure}{more}'


def wrong(nic, more=''):
    fault = f"{nic}, which is not a usable VM-FEX NIC; it can't leave the pool while VMs are on it"
    return f'direct-pool would give VMs {fault}: migrate these VMs, then try again{more}'


COMES = '; eth10 comes when the VMs on direct-pool have left'
# id: (pool, host, how many NICs the VM needs, refusal)
REFUSED = {
    'more-than-all': (pool(), HOST, 4, few('3 free NICs of 3', 4)),
    'no-nics': (NO_POOL, make_host(*NICS), 1, few('0 free NICs of 0', 1)),
    'in-use': (pool(used=['eth3', 'eth4']), HOST, 2, few('1 free NIC of 3', 2)),
    'cannot-grow-now': (pool(NICS[:2], used=['eth3']), HOST, 2, few('1 free NIC of 2', 2, COMES)),
    'unusable-ones': (pool(), BOTH_HOST, 2, few('1 free NIC of 1', 2, f'; {BRIDGED}; {DOWN}')),
    'next-one-is-gone': (pool(used=['eth3']), make_host('eth4'), 1, wrong('eth4')),
    'next-one-is-unusable': (pool(used=['eth3']), make_host(eth4=DOWN), 1, wrong('eth4', f'; {DOWN}')),
    'last-one-is-the-hosts-own': (pool(OWN, used=['eth3']), HOST, 1, wrong('eth0')),
}


@pytest.mark.parametrize('pool, host, need, says', REFUSED.values(), ids=list(REFUSED))
def test_vm_that_would_not_get_its_nics_is_refused(pool, host, need, says):
    with refused(says) as refusal:
        plan(need, pool, host)
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
