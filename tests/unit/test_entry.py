# SPDX-License-Identifier: GPL-2.0-or-later
"""before_vm_start/50_vmfex: whom it sends away at once, and what it needs to go on."""

import os
import re
import shutil
import subprocess

import pytest

from tests.hook import HOOK, HOOKS, TREE
from tests.vdsm_runner import HookError
from tests.xml_builders import domain_xml, nic_xml

POINTS = [
    'before_nic_hotplug',
    'before_update_device',
    'before_vm_dehibernate',
    'before_vm_migrate_destination',
    'before_vm_start',
]
DOMAIN = domain_xml(nic_xml('00:1a:4a:16:01:51'))


def test_hook_points_are_links_to_the_entry():
    assert sorted(os.listdir(HOOKS)) == [*POINTS, 'vmfex']
    for point in POINTS:
        assert os.path.realpath(os.path.join(HOOKS, point, '50_vmfex')) == HOOK


@pytest.mark.parametrize('value', [None, ''])
@pytest.mark.parametrize('point', [point for point in POINTS if point != 'before_update_device'])
def test_vm_without_vmfex_needs_neither_xml_nor_vdsm(run_hook, point, value, tmpdir):
    # There is no VDSM in that folder, and what is not XML would be refused.
    assert run_hook(point, 'not XML', value, vdsm=str(tmpdir)) == ('not XML', '')


@pytest.mark.parametrize(
    'point, xml, value',
    [
        ('before_vm_start', 'not XML', "{'00:1a:4a:16:01:51':'P'}"),
        ('before_vm_start', 'not XML, with vmfex in it', None),
        ('before_vm_migrate_destination', 'not XML, with direct-pool in it', None),
        ('before_vm_dehibernate', 'not XML, with direct-pool in it', None),
        ('before_nic_hotplug', 'not XML', 'P'),
        ('before_update_device', 'not XML', None),
    ],
)
def test_vm_that_may_have_to_do_with_vmfex_is_looked_at(run_hook, point, xml, value):
    with pytest.raises(HookError, match="^vmfex: the XML of the VM can't be read"):
        run_hook(point, xml, value)


@pytest.mark.parametrize('value', [' ', ' {} ', '{ }'])
@pytest.mark.parametrize('point', ['before_vm_start', 'before_nic_hotplug'])
def test_blank_property_is_none_and_the_xml_is_not_written(run_hook, point, value):
    xml = DOMAIN if point == 'before_vm_start' else nic_xml('00:1a:4a:16:01:51')
    assert run_hook(point, xml, value) == (xml, '')


@pytest.fixture
def installed(tmpdir):
    """A copy of the hooks, to be broken."""
    shutil.copytree(HOOKS, str(tmpdir.join('hooks')), symlinks=True)
    return tmpdir.join('hooks')


@pytest.mark.parametrize('broken', ['gone', 'module-gone', 'syntax', 'name'])
def test_broken_installation_is_one_line_that_says_so(run_hook, installed, broken):
    modules = installed.join('vmfex')
    if broken == 'gone':
        modules.remove()
    elif broken == 'module-gone':
        modules.join('pool.py').remove()
    else:
        modules.join('pool.py').write('def' if broken == 'syntax' else 'x = y')
    with pytest.raises(HookError) as error:
        run_hook(str(installed.join('before_vm_migrate_destination')), DOMAIN, "{'00:1a:4a:16:01:51':'P'}")
    assert error.value.says("the hook's installation is broken (")
    assert str(error.value).endswith('reinstall vdsm-hook-vmfex\n') and error.value.status == 2


def test_nothing_is_compiled_to_files(run_hook, installed):
    before = sorted(os.walk(str(installed)))
    value = "{'00:1a:4a:16:99:99':'P'}"
    assert 'no NIC of this VM' in run_hook(str(installed.join('before_vm_start')), DOMAIN, value)[1]
    # Also without PYTHONDONTWRITEBYTECODE in the environment.
    env = {'PATH': os.environ['PATH']}
    subprocess.run([str(installed.join('before_vm_start', '50_vmfex')), '--help'], check=True, env=env,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    assert sorted(os.walk(str(installed))) == before


def test_modules_do_nothing_when_they_are_imported():
    names = [name[:-3] for name in os.listdir(HOOKS + '/vmfex') if name.endswith('.py')]
    script = 'import sys; sys.dont_write_bytecode = True; {}; print(sorted(sys.modules))'.format(
        '; '.join('import vmfex.' + name for name in names)
    )
    out = subprocess.check_output(['python3', '-c', script], cwd=HOOKS, universal_newlines=True)
    assert 'vmfex.pool' in out and "'libvirt'" not in out and 'hooking' not in out


def test_only_the_entry_is_executable():
    for folder, _, names in os.walk(HOOKS):
        for name in names:
            path = os.path.join(folder, name)
            assert os.access(path, os.X_OK) == (name == '50_vmfex'), path


def test_version_is_the_packages():
    with open(HOOK) as entry, open(os.path.join(TREE, 'vdsm-hook-vmfex.spec')) as spec:
        [ours] = re.findall("^VERSION = '(.*?)'", entry.read(), re.MULTILINE)
        assert re.findall('^Version: *(.*)', spec.read(), re.MULTILINE) == [ours]
