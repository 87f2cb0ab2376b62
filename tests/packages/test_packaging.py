# SPDX-License-Identifier: GPL-2.0-or-later
"""What is installed is what is in hooks, and works from there."""

import glob
import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

from tests.hook import HOOK, HOOKS, INSTALLED, TREE, output
from tests.vdsm_runner import HookError, call_hook
from tests.xml_builders import domain_xml, pool_nic_xml
from vmfex.hook_points import HOOK_POINTS

SPECS = [TREE + '/vdsm-hook-vmfex.spec', TREE + '/libvirtd/vdsm-hook-vmfex-libvirt.spec']
MAC = '00:1a:4a:16:01:51'


def make(*args, folder=TREE):
    return output('make', '-s', '--no-print-directory', '-C', folder, *args)


def pip(*args):
    subprocess.run([sys.executable, '-m', 'pip', '-q', *args], check=True, stderr=subprocess.DEVNULL)


@pytest.fixture(scope='session')
def wheel(source_tree, tmp_path_factory):
    """The path of the wheel."""
    folder = str(tmp_path_factory.mktemp('wheel'))
    pip('wheel', '--no-deps', '--no-build-isolation', '-w', folder, source_tree)
    [path] = glob.glob(folder + '/*.whl')
    return path


@pytest.fixture(scope='session')
def hooks_by_wheel(wheel, tmp_path_factory):
    """The folder of the hook points as pip installs it in an empty root."""
    root = str(tmp_path_factory.mktemp('wheel-root'))
    pip('install', '--no-deps', '--no-index', '--no-compile', '--prefix', root + '/usr', wheel)
    # Debian's pip puts /local behind a prefix.
    [hooks] = glob.glob(root + INSTALLED) + glob.glob(root + INSTALLED.replace('/usr', '/usr/local'))
    return hooks


@pytest.fixture(params=['make', 'rpm', 'wheel'])
def installed(request):
    """The folder of the hook points, installed in each of these ways."""
    return request.getfixturevalue('hooks_by_' + request.param)


def files_in(folder):
    """Return the bytes of each file in a folder, by path, through links."""
    found = {}
    for path, _, names in os.walk(folder):
        for name in names:
            file = os.path.join(path, name)
            with open(file, 'rb') as f:
                found[os.path.relpath(file, folder)] = f.read()
    return found


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


def test_rpm_is_for_all_hosts_with_libvirts_python_binding(rpm):
    """What else it needs, and what it conflicts with, test_dnf.py shows."""
    query = output('rpm', '-qp', '--qf', '%{NAME} %{ARCH} %{LICENSE}\n[%{REQUIRES}\n]', rpm).splitlines()
    assert query[0] == 'vdsm-hook-vmfex noarch GPL-2.0-or-later' and 'python3-libvirt' in query


def test_hook_from_the_rpm_starts_a_vm(fabric, alpha, hooks_by_rpm):
    from tests.lab.vm import VM

    alpha.hooks = hooks_by_rpm
    VM().start(alpha)
    assert len(fabric.requests()) == 2


@pytest.mark.skipif(not shutil.which('rpmlint'), reason='this release has no rpmlint')
def test_rpmlint_has_no_errors(rpm, library_rpm):
    source_rpms = glob.glob(os.path.dirname(rpm) + '/../../SRPMS/*.rpm')
    assert len(source_rpms) == 2
    # One by one: rpmlint 2.4 takes the specs of two source packages for those of one.
    for package in [rpm, library_rpm, *source_rpms, *SPECS]:
        assert ' 0 errors' in output('rpmlint', '-c', TREE + '/rpmlint.toml', package)


def test_wheel_names_libvirt_python(wheel):
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith('METADATA')]
        metadata = archive.read(name).decode()
    assert re.search('^Requires-Dist: libvirt-python$', metadata, re.MULTILINE)
    assert re.search('^Requires-Python: >=3.6$', metadata, re.MULTILINE)


def test_version_is_the_same_in_the_specs_and_the_entry(rpm, library_rpm, wheel):
    with open(HOOK) as entry:
        version = re.search("^VERSION = '(.*)'", entry.read(), re.MULTILINE).group(1)
    assert output('rpm', '-qp', '--qf', '%{VERSION} ', rpm, library_rpm) == f'{version} {version} '
    assert os.path.basename(wheel).split('-')[1] == version
    # A checksum of the entry tells VDSM the version.
    places = output('git', 'grep', '-lF', version, '--', '.', ':!LICENSE', ':!tests', cwd=TREE).split()
    assert places == [os.path.relpath(path, TREE) for path in sorted([HOOK, *SPECS])]


@pytest.mark.parametrize('folder', [TREE, TREE + '/libvirtd'], ids=['hook', 'library'])
def test_make_help_is_the_default_and_lists_the_targets(folder):
    text = make(folder=folder)
    assert text == make('help', folder=folder)
    with open(os.path.join(folder, 'Makefile')) as makefile:
        [phony] = re.findall('^[.]PHONY: (.*)', makefile.read(), re.MULTILINE)
    assert {line.split()[1] for line in text.splitlines()} == set(phony.split()) - {'needs'}
