# SPDX-License-Identifier: GPL-2.0-or-later
"""
VDSM's own Vm with the hook: what VDSM makes of a VM on VM-FEX, and what it does not.

Where a test shows a limit of VDSM that the README names, it fails with a VDSM that does better.
"""

import os
import re
import stat

import libvirt
import pytest

from tests.hook import HOOK
from tests.lab import guest
from tests.lab.real_vdsm import Vdsm, VdsmError, device_xml, vm_xml, why_not
from tests.lab.vm import VM
from tests.vdsm_runner import HookError, run_hooks
from tests.xml_builders import PLUGGED, UNFIT

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())

# libvirt's answer to VDSM's <interface type="direct"> or "network" with a <source bridge=...>.
REFUSED = "[Mm]issing required attribute '(dev|network)'|No <source> '(dev|network)' attribute"
BOTH_FORMS = pytest.mark.parametrize('form', ['dictionary', 'own'])


def make_vm(form):
    return VM() if form == 'dictionary' else VM(profiles=(), own=('Profile1', 'Profile2'))


@pytest.fixture
def vdsm(alpha, tmp_path):
    with Vdsm(alpha, str(tmp_path / 'vdsm.log')) as vdsm:
        yield vdsm


@pytest.fixture
def vdsm_beta(beta, tmp_path):
    with Vdsm(beta, str(tmp_path / 'vdsm-beta.log')) as vdsm:
        yield vdsm


@BOTH_FORMS
def test_vm_is_created_and_its_nic_updated_also_by_a_vdsm_that_restarted(fabric, alpha, vdsm, form):
    vm = make_vm(form)
    mac, own = vm.macs[0], None if vm.vmfex else 'Profile1'
    assert vdsm.create(vm_xml(vm)) == ['Up', None]
    assert fabric.ports(alpha, 'ASSOCIATE') == vm.ports(vm.vic_nics(alpha))
    for restarted in False, True:
        if restarted:
            vdsm.restart()
            assert vdsm.recover(vm.uuid)[0] == 'Up'
        for link, network in (
            ('down', 'ovirtmgmt'),
            ('up', 'storage'),
            ('down', 'ovirtmgmt'),
            ('up', 'ovirtmgmt'),
        ):
            vdsm.update(vm.uuid, device_xml(mac, network, own, link=link, extra=UNFIT))
            assert vm.link(alpha, mac) == link
            assert alpha.pool_nics()['eth3'] == 1
    assert len(fabric.requests()) == 2
    vdsm.update(vm.uuid, device_xml(vm.macs[3], link='down'))
    assert vm.link(alpha, vm.macs[3]) == 'down'


@BOTH_FORMS
def test_lines_in_vdsm_log_are_found_by_the_readmes_grep(vdsm, form):
    vm, other = make_vm(form), VM(1, profiles=())
    vdsm.create(vm_xml(vm))
    vdsm.create(vm_xml(other))  # it has such a line, too, with nothing in it
    assert len(re.findall(r"/50_vmfex: rc=0 err=b''\n", vdsm.log())) == 1
    [line] = vdsm.hook_lines()
    assert re.search(r"/50_vmfex: rc=0 err=b'vmfex: NIC .* Profile1; removed: .*\\nvmfex: .*\\n'$", line)


def test_error_in_the_engines_event_is_the_hooks_line_as_bytes(alpha, vdsm):
    vm = VM()
    vm.vmfex = "{'00:1a:4a:16:00:51':'caf\u00e9'}"
    status, message = vdsm.create(vm_xml(vm))
    assert status == 'Down'
    assert message.startswith(
        "Hook Error: (b\"vmfex: custom property vmfex of the VM, for 00:1a:4a:16:00:51: "
        "'caf\\xc3\\xa9' is not a port profile: "
    )
    assert re.search(r'/50_vmfex: rc=2 err=b"vmfex: ', vdsm.hook_lines()[0])
    assert alpha.conn.listAllNetworks() == []


def test_vm_with_port_mirroring_on_vmfex_does_not_start(alpha, vdsm):
    vm = VM()
    mirroring = (
        '<ovirt-vm:portMirroring><ovirt-vm:network>ovirtmgmt</ovirt-vm:network>'
        '</ovirt-vm:portMirroring></ovirt-vm:device>'
    )
    xml = vm_xml(vm).replace('</ovirt-vm:device>', mirroring, 1)
    status, message = vdsm.create(xml)
    assert status == 'Down' and f'NIC {vm.macs[0]} has port mirroring' in message
    # Port mirroring of a NIC that stays on its bridge does not matter.
    xml = re.sub(f'(mac_address="{vm.macs[3]}">)</ovirt-vm:device>', r'\1' + mirroring, vm_xml(vm))
    assert vdsm.create(xml) == ['Up', None]


def test_wrong_vnic_profile_of_a_running_nic_is_refused_at_its_next_start_only(alpha, vdsm):
    vm = VM(profiles=(), own=('Profile1',))
    vdsm.create(vm_xml(vm))
    vdsm.update(vm.uuid, device_xml(vm.macs[0], own='a&amp;b', link='down', extra=UNFIT))
    assert vm.link(alpha, vm.macs[0]) == 'down' and alpha.pool_nics()['eth3'] == 1
    assert 'it stays on port profile Profile1' in vdsm.hook_lines()[-1]
    status, message = vdsm.create(vm_xml(VM(1, profiles=(), own=('a&amp;b',))))
    assert status == 'Down' and 'custom property vmfex of the vNIC profile of NIC' in message


def test_nic_is_plugged_and_unplugged_by_the_vdsm_that_started_the_vm(alpha, vdsm, tmp_path):
    vm = VM(profiles=())
    with guest.linux(vm, str(tmp_path), lambda: vdsm.create(vm_xml(vm))):
        guest.let_slots_settle(alpha)
        vdsm.plug(vm.uuid, device_xml(PLUGGED, own='Plugged', extra=UNFIT))
        assert vm.vic_nics(alpha) == {PLUGGED: 'eth3'}
        vdsm.update(vm.uuid, device_xml(PLUGGED, own='Other', link='down', extra=UNFIT))
        assert vm.nics(alpha)[PLUGGED].find('link').get('state') == 'down'
        vdsm.update(vm.uuid, device_xml(PLUGGED, own='Plugged', extra=UNFIT))
        guest.let_slots_settle(alpha)
        vdsm.unplug(vm.uuid, device_xml(PLUGGED, own='Plugged'))
        assert PLUGGED not in vm.nics(alpha)


def test_nic_cannot_be_unplugged_after_vdsm_restarted(alpha, vdsm):
    vm = VM()
    vdsm.create(vm_xml(vm))
    vdsm.restart()
    vdsm.recover(vm.uuid)
    with pytest.raises(VdsmError, match=REFUSED):
        vdsm.unplug(vm.uuid, device_xml(vm.macs[0]))
    assert vm.macs[0] in vm.vic_nics(alpha)


@BOTH_FORMS
def test_vm_migrates_is_updated_there_and_not_unplugged(fabric, alpha, beta, vdsm, vdsm_beta, form):
    vm = make_vm(form)
    vdsm.create(vm_xml(vm))
    domain = vm.on(alpha)
    assert vdsm_beta.expect(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_MIGRATABLE)) is True
    vm.migrate(alpha, beta, hook=False)
    assert vdsm_beta.arrived(vm.uuid)[0] == 'Up'
    assert fabric.ports(beta, 'ASSOCIATE') == vm.ports(vm.vic_nics(beta))
    mac, own = vm.macs[0], None if vm.vmfex else 'Profile1'
    vdsm_beta.update(vm.uuid, device_xml(mac, 'storage', own, link='down', extra=UNFIT))
    assert vm.link(beta, mac) == 'down' and beta.pool_nics()['eth13'] == 1
    with pytest.raises(VdsmError, match=REFUSED):
        vdsm_beta.unplug(vm.uuid, device_xml(mac))


def test_migration_to_a_host_without_nics_is_refused(alpha, beta, vdsm, vdsm_beta):
    vm = VM()
    vdsm.create(vm_xml(vm))
    for nic in beta.pool:
        beta.remove_nic(nic)
    with pytest.raises(VdsmError, match='Hook Error: .*direct-pool has 0 free NICs of 0, this VM'):
        vdsm_beta.expect(vm.on(alpha).XMLDesc(libvirt.VIR_DOMAIN_XML_MIGRATABLE))
    assert vm.runs_on(alpha)


@BOTH_FORMS
def test_vm_is_suspended_and_resumed(fabric, alpha, vdsm, tmp_path, form):
    vm = make_vm(form)
    vdsm.create(vm_xml(vm))
    vdsm.suspend(vm.uuid, str(tmp_path / 'memory'))
    assert set(alpha.pool_nics().values()) == {0}
    alpha.conn.networkLookupByName('direct-pool').destroy()
    fabric.forget()
    assert vdsm.resume(vm_xml(vm), str(tmp_path / 'memory')) == ['Up', None]
    assert fabric.ports(alpha, 'ASSOCIATE') == vm.ports(vm.vic_nics(alpha))


def test_vm_resumes_without_a_pool_though_its_vnic_profiles_changed_while_it_ran(
    fabric, alpha, vdsm, tmp_path
):
    vm = VM(profiles=(), own=('Profile1', 'Profile2'))
    vdsm.create(vm_xml(vm))
    vdsm.suspend(vm.uuid, str(tmp_path / 'memory'))
    pool = alpha.net
    pool.destroy()
    pool.undefine()
    fabric.forget()
    assert vdsm.resume(vm_xml(VM(profiles=())), str(tmp_path / 'memory')) == ['Up', None]
    assert fabric.ports(alpha, 'ASSOCIATE') == vm.ports(vm.vic_nics(alpha))


def test_vm_resumes_on_vmfex_nics_where_a_name_in_the_pool_is_the_hosts_own_by_now(alpha, vdsm, tmp_path):
    vm = VM(profiles=(), own=('Profile1', 'Profile2'))
    vdsm.create(vm_xml(vm))
    vdsm.suspend(vm.uuid, str(tmp_path / 'memory'))
    renamed = {f'eth{i}': f'eth{i + 1}' for i in range(3, 12)}
    vdsm.restart(lambda: alpha.reboot(renamed, own='eth3'))
    own = alpha.mac('eth3')
    assert list(alpha.pool_nics())[0] == 'eth3'  # autostarted, and waiting for a VM
    assert vdsm.resume(vm_xml(VM(profiles=())), str(tmp_path / 'memory')) == ['Up', None]
    assert sorted(vm.vic_nics(alpha).values()) == ['eth4', 'eth5']
    assert alpha.mac('eth3') == own


def test_vm_resumes_on_its_bridge_though_an_update_gave_its_nic_a_port_profile(alpha, vdsm, tmp_path):
    """VDSM passes the suspended VM's XML with that property, and does not use what comes out."""
    vm = VM(profiles=())
    vdsm.create(vm_xml(vm))
    for _ in 'of the NIC', 'in the XML':  # VDSM writes what it had before
        vdsm.update(vm.uuid, device_xml(vm.macs[0], own='Later'))
    assert '>Later</ovirt-vm:vmfex>' in vm.on(alpha).XMLDesc()
    vdsm.suspend(vm.uuid, str(tmp_path / 'memory'))
    for nic in alpha.pool:
        alpha.remove_nic(nic)
    assert vdsm.resume(vm_xml(vm), str(tmp_path / 'memory')) == ['Up', None]
    assert vm.vic_nics(alpha) == {}


def test_resume_is_refused_where_no_nic_is_free(alpha, vdsm, tmp_path):
    vm = VM(profiles=(), own=('Profile1',))
    vdsm.create(vm_xml(vm))
    vdsm.suspend(vm.uuid, str(tmp_path / 'memory'))
    for nic in alpha.pool:
        alpha.remove_nic(nic)
    status, message = vdsm.resume(vm_xml(VM(profiles=())), str(tmp_path / 'memory'))
    assert status == 'Down' and 'direct-pool has 0 free NICs of 0, this VM needs 1' in message


# The tests' own runner of hooks does what VDSM's does.

NIC = f'<interface type="bridge"><mac address="{PLUGGED}"/><source bridge="x"/></interface>\r\n'
DOMAIN = f'<domain>\r\n<devices>{NIC}</devices></domain>'
POINTS = {
    'before_vm_start': DOMAIN,
    'before_vm_migrate_destination': DOMAIN,
    'before_vm_dehibernate': DOMAIN,
    'before_nic_hotplug': NIC,
    'before_update_device': NIC,
}
PROBE = '#!/bin/sh\nenv -0 > {}/env; chmod 666 {}/env\n'
SAY = '#!/bin/sh\nprintf "{0}: caf\\303\\251 \\377\\r\\n" >&2; {2} exit {1}\n'


def write_hook(path, text):
    with open(path, 'w') as f:
        f.write(text)
    os.chmod(path, stat.S_IRWXU)


VM_ID = '8b3f4a4e-6d0c-4f59-9a3e-0b9c4d3c7e11'
# The VM's property and the NIC's, and hooks beside this one: name, exit status, what else they do.
DICTIONARY = "{'00:1a:4a:16:aa:aa': 'P'}"
RUNS = [
    (None, None, []),
    (DICTIONARY, None, []),
    (DICTIONARY, 'Own', []),
    (None, 'Own', []),
    ('a&b', None, []),
    (DICTIONARY, None, [('40_fails', 1, '')]),
    ('a&b', None, [('40_fails', 1, ''), ('60_not_reached', 0, '')]),
    (DICTIONARY, None, [('60_fails', 1, ''), ('70_fails', 1, '')]),
    (DICTIONARY, None, [('60_fails', 1, ''), ('70_fine', 0, '')]),
    (DICTIONARY, None, [('60_ends_it', 2, ''), ('70_not_reached', 1, '')]),
    (DICTIONARY, None, [('60_reserved', 3, '')]),
    (DICTIONARY, None, [('60_leaves', 1, 'echo > "$_hook_domxml.left";')]),
    (DICTIONARY, None, [('60_fine', 0, '')]),
]


@pytest.mark.parametrize('point', POINTS)
def test_runner_of_the_tests_agrees_with_vdsms(alpha, vdsm, tmp_path, point):
    for number, (vms, nics, others) in enumerate(RUNS):
        hooks, scratch = tmp_path / f'hooks{number}', tmp_path / f'scratch{number}'
        (hooks / point).mkdir(parents=True)
        scratch.mkdir()
        (hooks / point / '50_vmfex').symlink_to(HOOK)
        (hooks / point / '20_not_executable').write_text('no')
        write_hook(str(hooks / point / '10_probe'), PROBE.format(tmp_path, tmp_path))
        for name, status, more in others:
            write_hook(str(hooks / point / name), SAY.format(name, status, more))
        vm_custom = {'other': 'x', 'vmfex': vms} if vms else {'other': 'x'}
        nic_custom = {'vmfex': nics} if nics else {}

        vdsm.hooks_are_in(str(hooks))
        xml, error, left = vdsm.run_hooks(point, POINTS[point], VM_ID, vm_custom, nic_custom, str(scratch))
        theirs = environment(tmp_path)

        of_a_nic = point in ('before_nic_hotplug', 'before_update_device')
        try:
            our_xml, _ = run_hooks(
                str(hooks / point),
                POINTS[point],
                dict(nic_custom, **vm_custom) if of_a_nic else vm_custom,
                VM_ID,
                alpha.hook_command(),
                alpha.vdsm,
            )
            our_error, our_left = None, []
        except HookError as e:
            our_xml, our_error, our_left = None, f'Hook Error: {(e.err,)!r}', e.left
        assert environment(tmp_path) == theirs, RUNS[number]
        assert (xml, error, len(left)) == (our_xml, our_error, len(our_left)), RUNS[number]


def environment(folder):
    """Return what the probe saw, as far as it does not depend on who runs it."""
    env = dict(pair.split('=', 1) for pair in (folder / 'env').read_text().split('\0') if pair)
    return (
        {name: env.get(name) for name in ('vmfex', 'other', 'vmId')},
        '_hook_domxml' in env,
        env['PYTHONPATH'].endswith('/vdsm/hook'),
    )
