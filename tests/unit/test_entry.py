# SPDX-License-Identifier: GPL-2.0-or-later
"""before_vm_start/50_vmfex: whom it sends away at once, and what it needs to go on."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.hook import HOOK, HOOKS, TREE
from tests.vdsm_runner import HookError
from tests.xml_builders import domain_xml, nic_xml
from vmfex.hook_points import HOOK_POINTS

DOMAIN = domain_xml(nic_xml('00:1a:4a:16:01:51'))


def test_hook_points_are_links_to_the_entry_which_alone_is_executable():
    assert sorted(os.listdir(HOOKS)) == [*sorted(HOOK_POINTS), 'vmfex']
    for folder, _, names in os.walk(HOOKS):
        for path in (os.path.join(folder, name) for name in names):
            assert os.access(path, os.X_OK) == (os.path.realpath(path) == HOOK), path
            assert (os.path.realpath(path) == HOOK) == (os.path.basename(folder) != 'vmfex'), path


@pytest.mark.parametrize('value', [None, ''])
@pytest.mark.parametrize('point', sorted(set(HOOK_POINTS) - {'before_update_device'}))
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


@pytest.fixture
def installed(tmpdir):
    """A copy of the hooks, to be broken."""
    shutil.copytree(HOOKS, str(tmpdir.join('hooks')), symlinks=True)
    return tmpdir.join('hooks')


@pytest.mark.parametrize('pool', [None, 'def', 'x = y'], ids=['module-gone', 'syntax', 'name'])
def test_broken_installation_is_one_line_that_says_so(run_hook, installed, pool):
    installed.join('vmfex', 'pool.py').remove()
    if pool:
        installed.join('vmfex', 'pool.py').write(pool)
    with pytest.raises(HookError) as error:
        run_hook(str(installed.join('before_vm_migrate_destination')), DOMAIN, "{'00:1a:4a:16:01:51':'P'}")
    assert error.value.says("the hook's installation is broken (")
    assert str(error.value).endswith('reinstall vdsm-hook-vmfex\n') and error.value.status == 2


def test_domain_without_changes_and_compiled_modules_are_not_written(run_hook, installed):
    before = sorted(os.walk(str(installed)))
    xml, log = run_hook(str(installed.join('before_vm_start')), DOMAIN, "{'00:1a:4a:16:99:99':'P'}")
    assert xml == DOMAIN and log.startswith('vmfex: no NIC of this VM')
    # Also without PYTHONDONTWRITEBYTECODE in the environment, and as VDSM calls it.
    entry = str(installed.join('before_vm_start', '50_vmfex'))
    assert b'vmfex={' in subprocess.check_output([entry, '--help'], env={'PATH': os.environ['PATH']})
    assert sorted(os.walk(str(installed))) == before


def test_modules_do_nothing_when_they_are_imported():
    names = ['vmfex.' + name[:-3] for name in os.listdir(HOOKS + '/vmfex') if name.endswith('.py')]
    script = f'import sys, {", ".join(names)}; print(sorted(sys.modules))'
    out = subprocess.check_output([sys.executable, '-Bc', script], cwd=HOOKS, universal_newlines=True)
    assert 'vmfex.pool' in out and "'libvirt'" not in out and 'hooking' not in out


def test_version_is_the_packages():
    with open(HOOK) as entry, open(os.path.join(TREE, 'vdsm-hook-vmfex.spec')) as spec:
        [ours] = re.findall("^VERSION = '(.*?)'", entry.read(), re.MULTILINE)
        assert re.findall('^Version: *(.*)', spec.read(), re.MULTILINE) == [ours]
