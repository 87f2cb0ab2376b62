# SPDX-License-Identifier: GPL-2.0-or-later
"""What is installed is what is in hooks, and works from there."""

import glob
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hook import HOOK, HOOKS, INSTALLED, TREE, output
from tests.vdsm_runner import HookError, call_hook
from tests.xml_builders import domain_xml, pool_nic_xml
from vmfex.hook_points import HOOK_POINTS

SPECS = [TREE + '/vdsm-hook-vmfex.spec', TREE + '/libvirtd/vdsm-hook-vmfex-libvirt.spec']
VERSION = re.search("^VERSION = '(.*)'", Path(HOOK).read_text(encoding='utf-8'), re.MULTILINE).group(1)
MAC = '00:1a:4a:16:01:51'


def make(*args, folder=TREE):
    return output('make', '-s', '--no-print-directory', '-C', folder, *args)


@pytest.fixture(scope='session')
def hooks_by_rpm(tmp_path_factory, rpm):
    """The folder of the hook points as the RPM installs it in an empty root."""
    root = str(tmp_path_factory.mktemp('rpm-root'))
    subprocess.run(['rpm', '--install', '--nodeps', '--root', root, rpm], check=True)
    return root + INSTALLED


@pytest.fixture(scope='session')
def wheel(source_tree, tmp_path_factory):
    """An empty root in which pip installed the hook, by a wheel."""
    root = tmp_path_factory.mktemp('wheel')
    options = '--no-deps', '--no-build-isolation', '--no-compile', '--prefix', root / 'usr'
    subprocess.run([sys.executable, '-m', 'pip', '-q', 'install', *options, source_tree], check=True)
    return root


@pytest.fixture(params=['make', 'rpm', 'wheel'])
def installed(request):
    """The folder of the hook points, installed in each of these ways."""
    if request.param != 'wheel':
        return request.getfixturevalue('hooks_by_' + request.param)
    [hooks] = request.getfixturevalue('wheel').rglob('libexec/vdsm/hooks')
    return str(hooks)


def files_in(folder):
    """Return the bytes of each file in a folder, by path, through links."""
    paths = [path for path in Path(folder).rglob('*') if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_installed_hooks_are_those_of_the_source_and_nothing_of_the_machine(installed):
    files = files_in(installed)
    assert files == files_in(HOOKS)
    for path in files:
        mode = os.stat(os.path.join(installed, path)).st_mode & 0o777
        assert mode == (0o755 if path.endswith('/50_vmfex') else 0o644), path


@pytest.mark.parametrize('point', HOOK_POINTS)
def test_installed_hooks_run(installed, point):
    xml = pool_nic_xml(MAC, 'P')
    xml, vmfex = domain_xml(xml) if 'vm' in point else xml, {'vmfex': f"{{'{MAC}':'P'}}"}
    command = ['unshare', '--mount', 'sh', '-ec', 'mount -t tmpfs tmpfs /run; exec "$0"']  # no libvirt there
    with pytest.raises(HookError, match='^vmfex: libvirt failed: '):
        call_hook(os.path.join(installed, point), xml, vmfex, command=command)
    assert not glob.glob(installed + '/**/__pycache__', recursive=True)


def test_make_uninstall_removes_what_make_install_brought(tmp_path):
    for target, count in ('install', len(files_in(HOOKS))), ('uninstall', 0):
        make(target, f'DESTDIR={tmp_path}', 'libexecdir=/opt/libexec')
        assert len(files_in(str(tmp_path))) == count
    assert (tmp_path / 'opt/libexec/vdsm/hooks/before_vm_start').is_dir()


def test_rpms_say_what_they_are_and_need(rpm, library_rpm):
    """What else they need, and what they conflict with, test_dnf.py shows."""
    needs = {rpm: 'python3-libvirt', library_rpm: 'libvirt-daemon-driver-qemu'}
    for path, arch in (rpm, 'noarch'), (library_rpm, os.uname().machine):
        query = output('rpm', '-qp', '--qf', '%{ARCH} %{VERSION} %{LICENSE}\n[%{REQUIRES}\n]', path)
        assert query.startswith(f'{arch} {VERSION} GPL-2.0-or-later\n') and needs[path] in query.split('\n')


@pytest.mark.skipif(not shutil.which('rpmlint'), reason='this release has no rpmlint')
def test_rpmlint_has_no_errors(rpm, library_rpm):
    source_rpms = glob.glob(os.path.dirname(rpm) + '/../../SRPMS/*.rpm')
    assert len(source_rpms) == 2
    # One by one: rpmlint 2.4 takes the specs of two source packages for those of one.
    for package in [rpm, library_rpm, *source_rpms, *SPECS]:
        assert ' 0 errors' in output('rpmlint', '-c', TREE + '/rpmlint.toml', package)


def test_wheel_names_its_version_and_what_it_needs(wheel):
    [metadata] = wheel.rglob('METADATA')
    for line in 'Version: ' + VERSION, 'Requires-Dist: libvirt-python', 'Requires-Python: >=3.6':
        assert line in metadata.read_text(encoding='utf-8').splitlines()


def test_version_stands_in_the_specs_and_in_the_entry_whose_checksum_tells_it_to_vdsm():
    places = output('git', 'grep', '-lF', VERSION, '--', '.', ':!LICENSE', ':!tests', cwd=TREE).split()
    assert places == [os.path.relpath(path, TREE) for path in sorted([HOOK, *SPECS])]


@pytest.mark.parametrize('folder', [TREE, TREE + '/libvirtd'], ids=['hook', 'library'])
def test_make_help_is_the_default_and_lists_the_targets(folder):
    text = make(folder=folder)
    assert text == make('help', folder=folder)
    [phony] = re.findall('^[.]PHONY: (.*)', Path(folder, 'Makefile').read_text(), re.MULTILINE)
    assert {line.split()[1] for line in text.splitlines()} == set(phony.split()) - {'needs'}
