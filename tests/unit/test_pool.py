# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of direct-pool, decided on plain values; tests/one_host has it with a real libvirtd."""

import pytest

from tests.lab.networks import network_xml
from tests.messages import check_stderr
from tests.xml_builders import same
from vmfex.failure import Failure
from vmfex.host import HostNICs
from vmfex.pool import Network, Pool, check, definition, parse_network, plan

NICS = ['eth3', 'eth4', 'eth10']
HOST = HostNICs(NICS, [])
ALL = 'direct-pool defined: eth3, eth4, eth10'
NEXT = 'direct-pool defined, for its next start, as VMs are on it: eth3, eth4, eth10'
STOPPED, STARTED, AUTOSTART = (f'direct-pool {done}' for done in ('stopped', 'started', 'set to autostart'))


def network(nics=NICS, used=(), foreign=()):
    return Network({nic: int(nic in used) for nic in nics}, set(foreign))


def pool(
    live=NICS, next=None, used=(), active=True, persistent=True, autostart=True, foreign=(), next_foreign=()
):
    """Return a Pool: one that is right for HOST, but for what is given."""
    later = network(live if next is None else next, (), next_foreign or foreign)
    return Pool(None, active, persistent, autostart, network(live, used, foreign), later, set(used))


ABSENT = pool(live=[], active=False, persistent=False, autostart=False)


@pytest.mark.parametrize(
    'pool, done',
    [
        pytest.param(pool(), [], id='right'),
        pytest.param(pool(used=['eth3']), [], id='right-and-in-use'),
        pytest.param(pool(live=['eth10', 'eth4', 'eth3']), [], id='right-in-another-order'),
        pytest.param(ABSENT, [ALL, STARTED, AUTOSTART], id='absent'),
        pytest.param(pool(active=False), [STARTED], id='inactive'),
        pytest.param(pool(active=False, live=['eth3']), [ALL, STARTED], id='inactive-and-wrong'),
        pytest.param(pool(autostart=False), [AUTOSTART], id='not-autostarted'),
        pytest.param(pool(persistent=False, autostart=False), [ALL, AUTOSTART], id='transient'),
        pytest.param(
            pool(persistent=False, live=['eth3']), [ALL, STOPPED, STARTED], id='transient-and-wrong'
        ),
        pytest.param(pool(persistent=False, used=['eth3']), [NEXT], id='transient-and-in-use'),
        pytest.param(pool(live=['eth3', 'eth4']), [ALL, STOPPED, STARTED], id='nic-came'),
        pytest.param(pool(live=NICS + ['eth11']), [ALL, STOPPED, STARTED], id='nic-gone'),
        pytest.param(pool(live=['eth3', 'eth4', 'eth0']), [ALL, STOPPED, STARTED], id='nic-renamed'),
        pytest.param(pool(live=['eth3'], next=NICS), [STOPPED, STARTED], id='only-live-is-wrong'),
        pytest.param(pool(next=['eth3']), [ALL], id='only-next-is-wrong'),
        pytest.param(pool(live=['eth3', 'eth4'], used=['eth3']), [NEXT], id='nic-came-in-use'),
        pytest.param(pool(live=NICS + ['eth0'], used=['eth0']), [NEXT], id='nic-gone-in-use'),
        pytest.param(pool(live=['eth3'], next=NICS, used=['eth3']), [], id='only-live-is-wrong-in-use'),
        pytest.param(pool(foreign=['vlan']), [ALL, STOPPED, STARTED], id='foreign-settings'),
        pytest.param(pool(foreign=['vlan'], used=['eth3']), [NEXT], id='foreign-settings-in-use'),
        pytest.param(pool(next_foreign=['vlan']), [ALL], id='foreign-settings-next'),
    ],
)
def test_plan_makes_the_pool_right_and_never_restarts_one_that_is_in_use(pool, done):
    steps = plan(pool, HOST)
    assert [line for _, line in steps] == done
    assert not (pool.used and {'stop', 'start'} & {step for step, _ in steps})


FEW = 'start it on another host, or give this one more dynamic vNICs or VFs'


@pytest.mark.parametrize(
    'pool, host, need',
    [
        pytest.param(pool(), HOST, 3, id='all'),
        pytest.param(ABSENT, HOST, 3, id='absent'),
        pytest.param(pool(used=['eth3', 'eth4']), HOST, 1, id='rest'),
        pytest.param(pool(live=['eth3']), HOST, 3, id='unused-pool-that-will-grow'),
        pytest.param(pool(live=['eth0']), HOST, 1, id='unused-pool-that-will-drop-the-hosts-own'),
        pytest.param(pool(live=NICS + ['eth0'], used=['eth3']), HOST, 2, id='hosts-own-comes-after'),
        pytest.param(pool(used=['eth3']), HostNICs(['eth4', 'eth10'], []), 2, id='used-one-is-gone'),
        pytest.param(pool(), HostNICs(NICS, ['pf0']), 3, id='pf-down-and-enough-others'),
    ],
)
def test_vm_that_gets_its_nics_passes_the_check(pool, host, need):
    check(pool, host, need)


@pytest.mark.parametrize(
    'pool, host, need, says',
    [
        pytest.param(pool(), HOST, 4, f'has 3 free NICs of 3, this VM needs 4: {FEW}', id='more-than-all'),
        pytest.param(ABSENT, HOST, 4, 'has 3 free NICs of 3, this VM needs 4: ', id='absent'),
        pytest.param(ABSENT, HostNICs([], []), 1, 'has 0 free NICs of 0, this VM needs 1: ', id='no-nics'),
        pytest.param(
            pool(used=['eth3', 'eth4']), HOST, 2, 'has 1 free NIC of 3, this VM needs 2: ', id='in-use'
        ),
        pytest.param(
            pool(live=NICS + ['eth0'], used=['eth3']),
            HOST,
            3,
            'has 2 free NICs of 3, this VM needs 3: ',
            id='in-use-and-one-is-not-usable',
        ),
        pytest.param(
            pool(live=['eth3', 'eth4'], used=['eth3']),
            HOST,
            2,
            'has 1 free NIC of 2, this VM needs 2: ',
            id='used-pool-that-cannot-grow-now',
        ),
        pytest.param(
            ABSENT,
            HostNICs(['eth3'], ['pf0', 'pf1']),
            2,
            f'has 1 free NIC of 1, this VM needs 2: {FEW}; down, and so unusable with their VFs: pf0, pf1',
            id='pf-down',
        ),
        pytest.param(
            pool(used=['eth3']),
            HostNICs(['eth3', 'eth10'], []),
            1,
            "would give this VM eth4, which is not a usable VM-FEX NIC; it can't leave the pool while VMs "
            'are on the pool: migrate these VMs, then try again',
            id='next-one-is-gone',
        ),
        pytest.param(
            pool(live=['eth3', 'eth0', 'eth4'], used=['eth3']),
            HOST,
            1,
            'would give this VM eth0, which is not a usable VM-FEX NIC',
            id='next-one-is-the-hosts-own',
        ),
        pytest.param(
            pool(used=['eth3']),
            HostNICs(['eth3', 'eth10'], ['pf0']),
            1,
            "would give this VM eth4, which is not a usable VM-FEX NIC; it can't leave the pool while VMs "
            'are on the pool: migrate these VMs, then try again; down, and so unusable with their VFs: pf0',
            id='pf-of-the-next-one-is-down',
        ),
    ],
)
def test_vm_that_would_not_get_its_nics_is_refused(pool, host, need, says):
    with pytest.raises(Failure) as refusal:
        check(pool, host, need)
    assert str(refusal.value).startswith('direct-pool ' + says)
    check_stderr(f'vmfex: {refusal.value}', failed=True)


def test_definition_has_the_nics_in_their_order_and_the_uuid_that_there_was():
    assert same(definition(NICS), network_xml(NICS))
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
