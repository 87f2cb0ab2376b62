# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of direct-pool, decided on plain values; tests/one_host has it with a real libvirtd."""

import pytest

from tests.lab.networks import network_xml
from tests.messages import check_stderr
from tests.xml_builders import same
from vmfex.failure import Failure
from vmfex.host import HostNICs
from vmfex.pool import NO_POOL, Network, Pool, check, definition, parse_network, plan

NICS = ['eth3', 'eth4', 'eth10']
BRIDGED, DOWN = 'eth3 is a port of ovirtmgmt', 'PF pf0 of eth4 is down'
STOPPED, STARTED, AUTOSTART = (f'direct-pool {done}' for done in ('stopped', 'started', 'set to autostart'))


def defined(*nics, when=''):
    return f'direct-pool defined{when}: {", ".join(nics or NICS)}'


def defined_next(*nics):
    return defined(*nics, when=', for its next start, as VMs are on it')


ALL, NEXT = defined(), defined_next()


def make_host(*gone, others=('eth0',), **faults):
    """Return the NICs of a host: these, less those gone, and with faults, by NIC."""
    return HostNICs({nic: faults.get(nic, '') for nic in NICS if nic not in gone}, set(others))


HOST = make_host()


def network(nics=NICS, used=(), foreign=()):
    return Network({nic: int(nic in used) for nic in nics}, set(foreign))


def pool(
    live=NICS, next=None, used=(), active=True, persistent=True, autostart=True, foreign=(), next_foreign=()
):
    """Return a Pool: one that is right for HOST, but for what is given."""
    later = network(live if next is None else next, (), next_foreign or foreign)
    return Pool('uuid', active, persistent, autostart, network(live, used, foreign), later, set(used))


LAST = ['eth4', 'eth10', 'eth3']  # eth3 comes last
RESTART = [defined(*LAST), STOPPED, STARTED]


@pytest.mark.parametrize(
    'pool, host, done',
    [
        pytest.param(pool(), HOST, [], id='right'),
        pytest.param(pool(used=['eth3']), HOST, [], id='right-and-in-use'),
        pytest.param(pool(live=['eth10', 'eth4', 'eth3']), HOST, [], id='right-in-another-order'),
        pytest.param(NO_POOL, HOST, [ALL, STARTED, AUTOSTART], id='absent'),
        pytest.param(pool(active=False), HOST, [STARTED], id='inactive'),
        pytest.param(pool(active=False, live=['eth3']), HOST, [ALL, STARTED], id='inactive-and-wrong'),
        pytest.param(pool(autostart=False), HOST, [AUTOSTART], id='not-autostarted'),
        pytest.param(pool(persistent=False, autostart=False), HOST, [ALL, AUTOSTART], id='transient'),
        pytest.param(
            pool(persistent=False, live=['eth3']), HOST, [ALL, STOPPED, STARTED], id='transient-and-wrong'
        ),
        pytest.param(pool(persistent=False, used=['eth3']), HOST, [NEXT], id='transient-and-in-use'),
        pytest.param(pool(live=['eth3', 'eth4']), HOST, [ALL, STOPPED, STARTED], id='nic-came'),
        pytest.param(pool(live=NICS + ['eth11']), HOST, [ALL, STOPPED, STARTED], id='nic-gone'),
        pytest.param(pool(live=['eth3', 'eth4', 'eth0']), HOST, [ALL, STOPPED, STARTED], id='nic-renamed'),
        pytest.param(pool(live=['eth3'], next=NICS), HOST, [STOPPED, STARTED], id='only-live-is-wrong'),
        pytest.param(pool(next=['eth3']), HOST, [ALL], id='only-next-is-wrong'),
        pytest.param(pool(live=['eth3', 'eth4'], used=['eth3']), HOST, [NEXT], id='nic-came-in-use'),
        pytest.param(pool(live=NICS + ['eth0'], used=['eth0']), HOST, [NEXT], id='nic-gone-in-use'),
        pytest.param(pool(live=['eth3'], next=NICS, used=['eth3']), HOST, [], id='only-live-is-wrong-in-use'),
        pytest.param(pool(foreign=['vlan']), HOST, [ALL, STOPPED, STARTED], id='foreign-settings'),
        pytest.param(pool(foreign=['vlan'], used=['eth3']), HOST, [NEXT], id='foreign-settings-in-use'),
        pytest.param(pool(next_foreign=['vlan']), HOST, [ALL], id='foreign-settings-next'),
        pytest.param(NO_POOL, make_host(eth3=BRIDGED), [*RESTART[::2], AUTOSTART], id='absent-one-unusable'),
        pytest.param(pool(), make_host(eth3=BRIDGED), RESTART, id='unusable-one-is-first'),
        pytest.param(pool(live=LAST), make_host(eth3=BRIDGED), [], id='unusable-one-is-last'),
        pytest.param(pool(live=['eth10', 'eth4', 'eth3']), make_host(eth4=DOWN, eth3=BRIDGED), [], id='two'),
        pytest.param(pool(live=LAST), HOST, [], id='usable-again'),
        pytest.param(pool(used=['eth4']), make_host(eth10=BRIDGED), [], id='unusable-one-is-last-in-use'),
        pytest.param(
            pool(live=['eth4', 'eth3', 'eth10'], used=['eth4', 'eth10']),
            make_host(eth3=BRIDGED),
            [defined_next(*LAST)],
            id='unusable-one-comes-last-next-time',
        ),
    ],
)
def test_plan_makes_the_pool_right_and_never_restarts_one_that_is_in_use(pool, host, done):
    steps = plan(0, pool, host)
    assert [line for line, _ in steps] == done
    assert not (pool.used and {STOPPED, STARTED} & set(done))


FEW = 'start it on another host, or give this one more dynamic vNICs or VFs'


@pytest.mark.parametrize(
    'pool, host, need',
    [
        pytest.param(pool(), HOST, 3, id='all'),
        pytest.param(NO_POOL, HOST, 3, id='absent'),
        pytest.param(pool(used=['eth3', 'eth4']), HOST, 1, id='rest'),
        pytest.param(pool(live=['eth3']), HOST, 3, id='unused-pool-that-will-grow'),
        pytest.param(pool(live=['eth0']), HOST, 1, id='unused-pool-that-will-drop-the-hosts-own'),
        pytest.param(pool(live=NICS + ['eth9'], used=['eth3']), HOST, 2, id='one-that-is-gone-comes-after'),
        pytest.param(pool(live=NICS + ['eth0'], used=['eth0']), HOST, 2, id='hosts-own-has-a-vm'),
        pytest.param(pool(used=['eth3']), make_host('eth3'), 2, id='used-one-is-gone'),
        pytest.param(pool(), make_host(eth3=BRIDGED), 2, id='unusable-one-and-enough-others'),
        pytest.param(pool(used=['eth3']), make_host(eth10=DOWN), 1, id='unusable-one-comes-after'),
    ],
)
def test_vm_that_gets_its_nics_passes_the_check(pool, host, need):
    check(need, pool, host)


STAYS = "which is not a usable VM-FEX NIC; it can't leave the pool while VMs are on it: migrate these VMs, "


@pytest.mark.parametrize(
    'pool, host, need, says',
    [
        pytest.param(pool(), HOST, 4, f'has 3 free NICs of 3, this VM needs 4: {FEW}', id='more-than-all'),
        pytest.param(NO_POOL, HOST, 4, f'has 3 free NICs of 3, this VM needs 4: {FEW}', id='absent'),
        pytest.param(
            NO_POOL, make_host(*NICS), 1, f'has 0 free NICs of 0, this VM needs 1: {FEW}', id='no-nics'
        ),
        pytest.param(
            pool(used=['eth3', 'eth4']), HOST, 2, f'has 1 free NIC of 3, this VM needs 2: {FEW}', id='in-use'
        ),
        pytest.param(
            pool(live=['eth3', 'eth4'], used=['eth3']),
            HOST,
            2,
            f'has 1 free NIC of 2, this VM needs 2: {FEW}; eth10 comes when the VMs on direct-pool have left',
            id='used-pool-that-cannot-grow-now',
        ),
        pytest.param(
            pool(),
            make_host(eth3=BRIDGED, eth4=DOWN),
            2,
            f'has 1 free NIC of 1, this VM needs 2: {FEW}; {BRIDGED}; {DOWN}',
            id='unusable-ones',
        ),
        pytest.param(
            pool(used=['eth3']),
            make_host('eth4'),
            1,
            f'would give VMs eth4, {STAYS}then try again',
            id='next-one-is-gone',
        ),
        pytest.param(
            pool(used=['eth3']),
            make_host(eth4=DOWN),
            1,
            f'would give VMs eth4, {STAYS}then try again; {DOWN}',
            id='next-one-is-unusable',
        ),
        pytest.param(
            pool(live=NICS + ['eth0'], used=['eth3']),
            HOST,
            1,
            f'would give VMs eth0, {STAYS}then try again',
            id='last-one-is-the-hosts-own',
        ),
    ],
)
def test_vm_that_would_not_get_its_nics_is_refused(pool, host, need, says):
    for decide in check, plan:
        with pytest.raises(Failure) as refusal:
            decide(need, pool, host)
        assert str(refusal.value) == f'direct-pool {says}'
    check_stderr(f'vmfex: {refusal.value}', failed=True)


def test_definition_has_the_nics_in_their_order_and_the_uuid_that_there_was():
    assert same(definition(NICS, ''), network_xml(NICS))
    uuid = '8b3f4a4e-6d0c-4f59-9a3e-0b9c4d3c7e11'
    assert f'<uuid>{uuid}</uuid>' in definition(NICS, uuid)
    assert parse_network(definition(NICS, uuid)) == network()


@pytest.mark.parametrize(
    'settings, foreign',
    [
        ('', set()),
        ('<title>VIC</title>', {'title'}),
        ("<vlan><tag id='7'/></vlan><port isolated='yes'/>", {'vlan', 'port'}),
        ("<driver name='vfio'/>", {'driver'}),
        ("<metadata><x:y xmlns:x='urn:x'><interface dev='eth99'/></x:y></metadata>", {'metadata'}),
    ],
)
def test_live_network_is_read_with_its_connections_and_what_is_not_ours(settings, foreign):
    xml = network_xml(NICS, settings=settings).replace("'eth4'", "'eth4' connections='1'")
    if 'driver' in settings:  # its place is among the NICs
        xml = (
            network_xml(NICS)
            .replace('</forward>', settings + '</forward>')
            .replace("'eth4'", "'eth4' connections='1'")
        )
    assert parse_network(xml) == network(used=['eth4'], foreign=foreign)
    assert list(parse_network(xml).nics) == NICS


@pytest.mark.parametrize('mode', ['bridge', 'private', 'nat'])
def test_network_of_another_kind_is_somebody_elses(mode):
    with pytest.raises(Failure, match=f"^network direct-pool is not the hook's, its forward mode is {mode}"):
        parse_network(network_xml(NICS, mode))
    with pytest.raises(Failure, match='its forward mode is none'):
        parse_network('<network><name>direct-pool</name></network>')


def test_attributes_that_are_not_ours_are_seen():
    xml = network_xml(NICS).replace('<network>', "<network connections='2' trustGuestRxFilters='yes'>")
    assert parse_network(xml).foreign == {'trustGuestRxFilters'}
