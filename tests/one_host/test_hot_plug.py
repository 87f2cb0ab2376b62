# SPDX-License-Identifier: GPL-2.0-or-later
"""NICs that are plugged into a running VM; tests/two_hosts/test_guest.py has one that is unplugged, too."""

import pytest

from tests.lab.vm import VM
from tests.vdsm_runner import HookError
from tests.xml_builders import PLUGGED, UNFIT, engine_nic_xml


def test_first_nic_on_the_pool_is_plugged_in_on_a_host_without_a_pool(fabric, alpha):
    vm, own = VM(profiles=()), 'VM network 2'
    vm.start(alpha)
    log = vm.plug(alpha, PLUGGED, own, extra=UNFIT)
    assert f'to port profile {own};' in log and 'direct-pool started' in log
    assert fabric.ports(alpha, 'ASSOCIATE') == [('eth3', own, vm.uuid)]
    vm.update(alpha, engine_nic_xml(PLUGGED, link='down', extra=UNFIT), own)
    assert vm.nics(alpha)[PLUGGED].find('link').get('state') == 'down'


def test_nic_is_plugged_as_it_is_if_not_in_the_dictionary_and_not_if_none_is_free(alpha):
    vm, other = VM(), VM(1, profiles=7 * ('P',), nics=7)
    for each in vm, other:
        each.start(alpha)
    xml = engine_nic_xml(PLUGGED)
    assert alpha.hook('before_nic_hotplug', xml, vm.vmfex, vm.uuid) == (xml, '')
    vm.add_profile(PLUGGED, 'Plugged')
    with pytest.raises(HookError, match='^vmfex: direct-pool has 0 free NICs of 9, this VM needs 1'):
        vm.plug(alpha, PLUGGED)
