# SPDX-License-Identifier: GPL-2.0-or-later
"""NICs of a running VM: their links are switched, all else waits for its next start; some are plugged in."""

import libvirt
import pytest

from tests.lab.kinds import ON_BOTH_KINDS
from tests.lab.vm import VM
from tests.vdsm_runner import HookError
from tests.xml_builders import PLUGGED, UNFIT, engine_nic_xml

# A form of VDSM's, and what the NIC's network and property may be by now: others, the engine's "no network",
# a wrong value. They count at the next start.
ASKED = [('bridge', 'ovirtmgmt', None), ('network', 'storage', 'Other'), ('direct', ';vdsmdummy;', 'a&b')]


@ON_BOTH_KINDS
def test_link_is_switched_whatever_else_is_asked_for_while_no_nic_is_free(fabric, alpha):
    """Were its port released for a moment, the NIC could not get one back."""
    vm = VM(profiles=(), own=9 * ('P',), links=('down', 'up'), nics=9)
    vm.start(alpha)
    mac, other = vm.macs[:2]
    definition = vm.definition(alpha)
    assert vm.link(alpha, mac) == 'down'
    stays = "it stays on port profile P, and other changes wait for the VM's next start"
    for form, network, own in ASKED:
        xml = engine_nic_xml(mac, extra=UNFIT, type=form)
        with pytest.raises(libvirt.libvirtError):  # this is why the hook is there
            vm.on(alpha).updateDeviceFlags(xml, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        for link in 'up', 'up', 'down', 'down':
            log = vm.update(alpha, engine_nic_xml(mac, network, link, UNFIT, form), own)
            assert log == f'vmfex: NIC {mac} has link {link}; {stays}\n'
            assert (vm.link(alpha, mac), vm.link(alpha, other)) == (link, 'up')
            nic = vm.nics(alpha)[mac]
            assert nic.find('link').get('state') == link
            assert nic.find('source').get('network') == 'direct-pool'
            assert nic.find('virtualport/parameters').get('profileid') == 'P'
            assert vm.definition(alpha) == definition
    assert len(fabric.requests()) == 9  # the associations of the start
    assert list(alpha.pool_nics().values()) == 9 * [1]
    with pytest.raises(HookError, match='^vmfex: direct-pool has 0 free NICs of 9, this VM needs 1'):
        vm.plug(alpha, PLUGGED, 'P')


def test_update_of_a_nic_that_is_not_on_the_pool_is_left_untouched(alpha):
    vm = VM()
    vm.start(alpha)
    mac = vm.macs[2]
    xml = engine_nic_xml(mac, link='down')
    assert alpha.hook('before_update_device', xml, str({mac: 'Since the start'}), vm.uuid) == (xml, '')
    vm.update(alpha, xml)
    assert vm.link(alpha, mac) == 'down'


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
