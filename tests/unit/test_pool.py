# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of direct-pool, decided on plain values; tests/one_host has it with a real libvirtd."""

import pytest

from tests.lab.networks import network_xml
from tests.messages import check_stderr
from tests.unit import cases
from tests.xml_builders import same
from vmfex.failure import Failure
from vmfex.host import HostNICs
from vmfex.pool import NO_POOL, Network, Pool, check, definition, parse_network, plan

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

# id: (pool, host, lines for the log)
PLANS = {
    'right': (pool(), HOST, []),
    'right-and-in-use': (pool(used=['eth3']), HOST, []),
    'right-in-another-order': (pool(BACKWARDS), HOST, []),
    'absent': (NO_POOL, HOST, [ALL, STARTED, AUTOSTART]),
    'inactive': (pool(active=False), HOST, [STARTED]),
    'inactive-and-wrong': (pool(['eth3'], active=False), HOST, [ALL, STARTED]),
    'not-autostarted': (pool(autostart=False), HOST, [AUTOSTART]),
    'transient': (pool(persistent=False, autostart=False), HOST, [ALL, AUTOSTART]),
    'transient-and-wrong': (pool(['eth3'], persistent=False), HOST, [ALL, *RESTARTED]),
    'transient-and-in-use': (pool(persistent=False, used=['eth3']), HOST, [NEXT]),
    'nic-came': (pool(['eth3', 'eth4']), HOST, [ALL, *RESTARTED]),
    'nic-gone': (pool(MORE), HOST, [ALL, *RESTARTED]),
    'nic-renamed': (pool(['eth3', 'eth4', 'eth0']), HOST, [ALL, *RESTARTED]),
    'only-live-is-wrong': (pool(['eth3'], next=NICS), HOST, RESTARTED),
    'only-next-is-wrong': (pool(next=['eth3']), HOST, [ALL]),
    'nic-came-in-use': (pool(['eth3', 'eth4'], used=['eth3']), HOST, [NEXT]),
    'nic-gone-in-use': (pool(OWN, used=['eth0']), HOST, [NEXT]),
    'only-live-is-wrong-in-use': (pool(['eth3'], next=NICS, used=['eth3']), HOST, []),
    'foreign-settings': (pool(foreign=['vlan']), HOST, [ALL, *RESTARTED]),
    'foreign-settings-in-use': (pool(foreign=['vlan'], used=['eth3']), HOST, [NEXT]),
    'foreign-settings-next': (pool(next_foreign=['vlan']), HOST, [ALL]),
    'absent-one-unusable': (NO_POOL, BRIDGED_HOST, [ALL_BUT_LAST, STARTED, AUTOSTART]),
    'unusable-one-is-first': (pool(), BRIDGED_HOST, [ALL_BUT_LAST, *RESTARTED]),
    'unusable-one-is-last': (pool(LAST), BRIDGED_HOST, []),
    'two-unusable-ones-are-last': (pool(BACKWARDS), BOTH_HOST, []),
    'usable-again': (pool(LAST), HOST, []),
    'unusable-one-is-last-in-use': (pool(used=['eth4']), make_host(eth10=BRIDGED), []),
    'unusable-one-comes-last-next-time': (
        pool(['eth4', 'eth3', 'eth10'], used=['eth4', 'eth10']),
        BRIDGED_HOST,
        [NEXT_BUT_LAST],
    ),
}


@pytest.mark.parametrize('pool, host, done', cases(PLANS))
def test_plan_makes_the_pool_right_and_never_restarts_one_that_is_in_use(pool, host, done):
    steps = plan(0, pool, host)
    assert [line for line, _ in steps] == done
    assert not (pool.used and {STOPPED, STARTED} & set(done))


# id: (pool, host, how many NICs the VM needs)
ENOUGH = {
    'all': (pool(), HOST, 3),
    'absent': (NO_POOL, HOST, 3),
    'rest': (pool(used=['eth3', 'eth4']), HOST, 1),
    'unused-pool-that-will-grow': (pool(['eth3']), HOST, 3),
    'unused-pool-that-will-drop-the-hosts-own': (pool(['eth0']), HOST, 1),
    'one-that-is-gone-comes-after': (pool(MORE, used=['eth3']), HOST, 2),
    'hosts-own-has-a-vm': (pool(OWN, used=['eth0']), HOST, 2),
    'used-one-is-gone': (pool(used=['eth3']), make_host('eth3'), 2),
    'unusable-one-and-enough-others': (pool(), BRIDGED_HOST, 2),
    'unusable-one-comes-after': (pool(used=['eth3']), make_host(eth10=DOWN), 1),
}


@pytest.mark.parametrize('pool, host, need', cases(ENOUGH))
def test_vm_that_gets_its_nics_passes_the_check(pool, host, need):
    check(need, pool, host)


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
    'absent': (NO_POOL, HOST, 4, few('3 free NICs of 3', 4)),
    'no-nics': (NO_POOL, make_host(*NICS), 1, few('0 free NICs of 0', 1)),
    'in-use': (pool(used=['eth3', 'eth4']), HOST, 2, few('1 free NIC of 3', 2)),
    'cannot-grow-now': (pool(NICS[:2], used=['eth3']), HOST, 2, few('1 free NIC of 2', 2, COMES)),
    'unusable-ones': (pool(), BOTH_HOST, 2, few('1 free NIC of 1', 2, f'; {BRIDGED}; {DOWN}')),
    'next-one-is-gone': (pool(used=['eth3']), make_host('eth4'), 1, wrong('eth4')),
    'next-one-is-unusable': (pool(used=['eth3']), make_host(eth4=DOWN), 1, wrong('eth4', f'; {DOWN}')),
    'last-one-is-the-hosts-own': (pool(OWN, used=['eth3']), HOST, 1, wrong('eth0')),
}


@pytest.mark.parametrize('pool, host, need, says', cases(REFUSED))
def test_vm_that_would_not_get_its_nics_is_refused(pool, host, need, says):
    for decide in check, plan:
        with pytest.raises(Failure) as refusal:
            decide(need, pool, host)
        assert str(refusal.value) == says
    check_stderr(f'vmfex: {says}', failed=True)


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
        ('</network>', '<title>VIC</title></network>', {'title'}),
        ('</network>', "<vlan><tag id='7'/></vlan><port isolated='yes'/></network>", {'vlan', 'port'}),
        ('</network>', "<metadata><interface dev='eth99'/></metadata></network>", {'metadata'}),
        ('</forward>', "<driver name='vfio'/></forward>", {'driver'}),
    ],
)
def test_live_network_is_read_with_its_connections_and_what_is_not_ours(part, becomes, foreign):
    xml = network_xml(NICS).replace("'eth4'", "'eth4' connections='1'").replace(part, becomes)
    assert parse_network(xml) == network(used=['eth4'], foreign=foreign)
    assert list(parse_network(xml).nics) == NICS


@pytest.mark.parametrize('mode', ['bridge', 'private', 'nat', 'none'])
def test_network_of_another_kind_is_somebody_elses(mode):
    xml = network_xml(NICS, mode) if mode != 'none' else '<network><name>direct-pool</name></network>'
    with pytest.raises(Failure, match=f"^network direct-pool is not the hook's, its forward mode is {mode}"):
        parse_network(xml)
