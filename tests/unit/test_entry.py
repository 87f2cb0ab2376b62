# SPDX-License-Identifier: GPL-2.0-or-later
"""before_vm_start/50_vmfex as VDSM calls it: whom it sends away, and what it says if it fails."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.hook import HOOK, HOOKS
from tests.vdsm_runner import PLAIN, HookError, call_hook, find_vdsm
from tests.xml_builders import domain_xml, nic_xml
from vmfex.hook_points import HOOK_POINTS

DOMAIN = domain_xml(nic_xml('00:1a:4a:16:01:51'))
PROPERTY = "{'00:1a:4a:16:01:51':'P'}"
VDSM = find_vdsm()


def run_hook(point, xml, vmfex=None, vdsm=VDSM, **environment):
    """Call the hook of a hook point as VDSM does, on this interpreter. Returns the XML and the log."""
    custom = {'vmfex': vmfex, **environment}
    return call_hook(os.path.join(HOOKS, point), xml, custom, command=[sys.executable], vdsm=vdsm)


def fails(says, xml=DOMAIN, vmfex=PROPERTY, point='before_vm_start', **kwargs):
    """Check that the hook fails with one line that begins so and leaves the XML as it was."""
    with pytest.raises(HookError) as error:
        run_hook(point, xml, vmfex, **kwargs)
    assert error.value.says(says)
    assert (error.value.status, error.value.xml) == (2, xml)


def test_hook_points_are_links_to_the_entry_which_alone_is_executable():
    assert sorted(os.listdir(HOOKS)) == [*sorted(HOOK_POINTS), 'vmfex']
    for folder, _, names in os.walk(HOOKS):
        for path in (os.path.join(folder, name) for name in names):
            assert os.access(path, os.X_OK) == (os.path.realpath(path) == HOOK), path
            assert (os.path.realpath(path) == HOOK) == (os.path.basename(folder) != 'vmfex'), path


@pytest.mark.parametrize('value', [None, ''])
@pytest.mark.parametrize('point', sorted(set(HOOK_POINTS) - {'before_update_device'}))
def test_vm_without_vmfex_needs_neither_xml_nor_vdsm(point, value, tmpdir):
    # There is no VDSM in that folder, and what is not XML would be refused.
    assert run_hook(point, 'not XML', value, vdsm=str(tmpdir)) == ('not XML', '')


# id: (hook point, XML, property)
LOOKED_AT = {
    'property': ('before_vm_start', 'not XML', PROPERTY),
    'own': ('before_vm_start', 'not XML, with vmfex in it', None),
    'arrives': ('before_vm_migrate_destination', 'not XML, with direct-pool in it', None),
    'update': ('before_update_device', 'not XML', None),
    'not-utf-8': ('before_vm_start', DOMAIN.replace('ovirtmgmt', 'b\udcfcro'), PROPERTY),
}


@pytest.mark.parametrize('point, xml, value', LOOKED_AT.values(), ids=list(LOOKED_AT))
def test_xml_that_may_have_to_do_with_vmfex_is_read(point, xml, value):
    fails("the XML of the VM can't be read: ", xml, value, point)


def test_vm_with_a_bare_port_profile_is_refused_also_if_that_is_not_ascii():
    fails("custom property vmfex is not a dictionary: 'caf", vmfex='caf\u00e9')


def test_link_in_another_hook_point_is_refused(tmpdir):
    point = tmpdir.mkdir('before_vm_pause')
    point.join('50_vmfex').mksymlinkto(HOOK)
    fails('only VDSM can call this', point=str(point))
    assert run_hook(str(point), DOMAIN) == (DOMAIN, '')


def test_host_without_vdsm_or_libvirts_python_binding_is_one_line(tmpdir):
    fails("No module named 'hooking': this runs on an oVirt host", vdsm=str(tmpdir))
    tmpdir.join('libvirt.py').write('raise ImportError("No module named libvirt")')
    fails('No module named libvirt: this runs on an oVirt host', PYTHONPATH=str(tmpdir))


def test_bug_is_one_line_and_then_the_traceback(tmpdir):
    tmpdir.join('libvirt.py').write('def registerErrorHandler(function, context): 1 // 0')
    with pytest.raises(HookError, match='^vmfex: this is a bug, please report it .*:\nTraceback') as error:
        run_hook('before_vm_start', DOMAIN, PROPERTY, vdsm=PLAIN, PYTHONPATH=str(tmpdir))
    assert str(error.value).splitlines()[-1].startswith('ZeroDivisionError')
    assert (error.value.status, error.value.xml) == (2, DOMAIN)


@pytest.fixture
def installed(tmpdir):
    """A copy of the hooks, to be broken."""
    shutil.copytree(HOOKS, str(tmpdir.join('hooks')), symlinks=True)
    return tmpdir.join('hooks')


def test_broken_installation_is_one_line_that_says_so(installed):
    module, point = installed.join('vmfex', 'pool.py'), str(installed.join('before_vm_start'))
    module.write('def')
    fails("the hook's installation is broken (", point=point)
    module.remove()
    fails("the hook's installation is broken (No module named", point=point)


def test_domain_without_changes_and_compiled_modules_are_not_written(installed):
    before = sorted(os.walk(str(installed)))
    xml, log = run_hook(str(installed.join('before_vm_start')), DOMAIN, "{'00:1a:4a:16:99:99':'P'}")
    assert xml == DOMAIN and log.startswith('vmfex: no NIC of this VM')
    # Also without PYTHONDONTWRITEBYTECODE in the environment, and as VDSM calls it.
    entry = str(installed.join('before_vm_start', '50_vmfex'))
    assert b'vmfex={' in subprocess.check_output([entry, '--help'], env={'PATH': os.environ['PATH']})
    assert sorted(os.walk(str(installed))) == before


def test_modules_import_neither_libvirt_nor_vdsm_when_they_are_imported():
    names = ['vmfex.' + name[:-3] for name in os.listdir(HOOKS + '/vmfex') if name.endswith('.py')]
    script = f'import sys, {", ".join(names)}; print(sorted(sys.modules))'
    out = subprocess.check_output([sys.executable, '-Bc', script], cwd=HOOKS, universal_newlines=True)
    assert 'vmfex.pool' in out and "'libvirt'" not in out and 'hooking' not in out
