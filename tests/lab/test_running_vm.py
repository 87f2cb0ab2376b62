# SPDX-License-Identifier: GPL-2.0-or-later
"""NICs of a running VM: their links are switched, all else waits for its next start; some are plugged in."""

import libvirt
import pytest

from tests.lab.kinds import ON_BOTH_KINDS
from tests.lab.vm import VM
from tests.vdsm_runner import HookError
from tests.xml_builders import PLUGGED, UNFIT, engine_nic_xml


@ON_BOTH_KINDS
def test_link_is_switched_in_each_form_of_vdsms_while_no_nic_is_free(fabric, alpha):
    """Were its port released for a moment, the NIC could not get one back."""
    vm = VM(profiles=9 * ('P',), links=('down', 'up'), nics=9)
    vm.start(alpha)
    mac, other = vm.macs[:2]
    definition = vm.definition(alpha)
    assert vm.link(alpha, mac) == 'down'
    for form in 'bridge', 'network', 'direct':
        with pytest.raises(libvirt.libvirtError):  # this is why the hook is there
            vm.on(alpha).updateDeviceFlags(
                engine_nic_xml(mac, extra=UNFIT, type=form), libvirt.VIR_DOMAIN_AFFECT_LIVE
            )
        for link in 'up', 'up', 'down', 'down':
            xml = engine_nic_xml(mac, link=link, extra=UNFIT, type=form)
            assert f'NIC {mac} has link {link}; it stays' in vm.update(alpha, xml)
            assert (vm.link(alpha, mac), vm.link(alpha, other)) == (link, 'up')
            nic = vm.nics(alpha)[mac]
            assert nic.find('link').get('state') == link
            assert nic.find('source').get('network') == 'direct-pool'
            assert nic.find('virtualport/parameters').get('profileid') == 'P'
            assert vm.definition(alpha) == definition
    assert len(fabric.requests()) == 9  # the associations of the start
    assert list(alpha.pool_nics().values()) == 9 * [1]
    vm.add_profile(PLUGGED, 'Plugged')
    with pytest.raises(HookError, match='^vmfex: direct-pool has 0 free NICs of 9, this VM needs 1'):
        vm.plug(alpha, PLUGGED)


def test_nic_runs_on_its_profile_whatever_its_network_and_the_property_are_by_now(fabric, alpha):
    """They count at the next start, and wrong ones are refused then."""
    vm = VM(profiles=(), own=('Own',))
    vm.start(alpha)
    mac = vm.macs[0]
    for property_, network, link in (
        ('Other', 'storage', 'down'),
        (None, ';vdsmdummy;', 'up'),  # the engine's "no network"
        ('a&b', 'ovirtmgmt', 'down'),
    ):
        log = vm.update(alpha, engine_nic_xml(mac, network, link, UNFIT), property_)
        assert "it stays on port profile Own, and other changes wait for the VM's next start" in log
        assert vm.link(alpha, mac) == link
        assert vm.nics(alpha)[mac].find('virtualport/parameters').get('profileid') == 'Own'
        assert alpha.pool_nics()['eth3'] == 1
    assert len(fabric.requests()) == 1


def test_update_of_a_nic_that_is_not_on_the_pool_is_left_untouched(alpha):
    vm = VM()
    vm.start(alpha)
    mac = vm.macs[2]
    xml = engine_nic_xml(mac, link='down')
    assert alpha.hook('before_update_device', xml, str({mac: 'Since the start'}), vm.uuid) == (xml, '')
    vm.update(alpha, xml)
    assert vm.link(alpha, mac) == 'down'
    vm.stop(alpha)
    with pytest.raises(HookError, match='^vmfex: libvirt failed: Domain not found.*\n$'):
        alpha.hook('before_update_device', engine_nic_xml(PLUGGED), vm.vmfex, vm.uuid)


def test_bandwidth_stays_as_it_runs_when_the_link_is_switched(alpha, tmp_path):
    # Not every kernel can shape traffic. So tc is replaced by a script that logs what libvirt asks of it:
    # that shows what libvirt accepts, not what the kernel makes of it.
    log, tc = tmp_path / 'tc.log', tmp_path / 'tc'
    tc.write_text(f'#!/bin/sh\necho "$@" >> {log}\n')
    tc.chmod(0o755)
    alpha.run('sh', '-ec', f'mount --bind {tc} $(command -v tc)')
    bandwidth = '<bandwidth><inbound average="1000" peak="2000"/><outbound average="3000"/></bandwidth>'
    vm = VM()
    vm.xml = vm.xml.replace(UNFIT, UNFIT + bandwidth)
    vm.start(alpha)
    assert 'rate 1000kbps' in log.read_text()
    for asked, link in (('', 'down'), (bandwidth, 'up'), (bandwidth.replace('3000', '7'), 'down')):
        vm.update(alpha, engine_nic_xml(vm.macs[0], link=link, extra=UNFIT + asked))
        assert vm.link(alpha, vm.macs[0]) == link
        assert vm.nics(alpha)[vm.macs[0]].find('bandwidth/outbound').get('average') == '3000'
        assert alpha.pool_nics()['eth3'] == 1


def test_first_nic_on_the_pool_is_plugged_in_on_a_host_without_a_pool(fabric, alpha):
    vm, own = VM(profiles=()), 'VM network 2'
    vm.start(alpha)
    log = vm.plug(alpha, PLUGGED, own, extra=UNFIT)
    assert f'to port profile {own};' in log and 'direct-pool started' in log
    assert fabric.ports(alpha, 'ASSOCIATE') == [('eth3', own, vm.uuid)]
    vm.update(alpha, engine_nic_xml(PLUGGED, link='down', extra=UNFIT), own)
    assert vm.nics(alpha)[PLUGGED].find('link').get('state') == 'down'
