# SPDX-License-Identifier: GPL-2.0-or-later
"""The library and libvirtd's drop-in as they are installed, and ld.so that finds the library."""

import os

import pytest

from tests.hook import TREE, output
from tests.lab.fabric import PORT_PROFILE


def make(target, folder):
    """Call make with the library and DESTDIR in that folder. Returns DESTDIR."""
    root = folder / 'root'
    here = f'LIBRARY={folder}/{PORT_PROFILE}', f'DESTDIR={root}'
    output('make', '-s', '-C', TREE + '/libvirtd', target, *here)
    return root


@pytest.fixture(scope='module', params=['make', 'rpm'])
def root(request, tmp_path_factory):
    """An empty root in which the library was installed, by make and by rpm."""
    folder = tmp_path_factory.mktemp('installed')
    if request.param == 'make':
        return make('install', folder)
    rpm = request.getfixturevalue('library_rpm')
    output('rpm', '--install', '--nodeps', '--noscripts', '--root', str(folder), rpm)
    return folder


@pytest.fixture
def library(root):
    """The path of the library in that root."""
    [path] = root.rglob(PORT_PROFILE)
    return path


def test_library_has_the_set_user_id_bit_and_nobody_can_run_it(library):
    info = library.stat()
    assert (info.st_mode & 0o7777, info.st_uid, info.st_gid) == (0o4644, 0, 0)


@pytest.mark.parametrize('unit', ['libvirtd', 'virtqemud'])
def test_drop_in_preloads_the_library_by_its_bare_name(root, unit):
    drop_in = (root / f'usr/lib/systemd/system/{unit}.service.d/50-vmfex.conf').read_text()
    settings = [line for line in drop_in.splitlines() if not line.startswith('#')]
    assert settings == ['[Service]', f'Environment=LD_PRELOAD={PORT_PROFILE}']


def test_ld_so_preloads_the_library_even_with_at_secure(library):
    """As if a policy set it: nobody runs a cat with the set-user-ID bit, the library is in libnl's folder."""
    script = """
        mount -t tmpfs -o mode=755 tmpfs /mnt
        cp /usr/bin/cat /mnt
        chmod u+s /mnt/cat
        mount -t overlay -o lowerdir="$1:$2" overlay "$2"
        exec setpriv --reuid=65534 --clear-groups env LD_PRELOAD="$3" /mnt/cat /proc/self/maps
    """
    libdir = output('pkg-config', '--variable=libdir', 'libnl-3.0').strip()
    folders = str(library.parent), libdir
    assert PORT_PROFILE in output('unshare', '--mount', 'sh', '-ec', script, 'sh', *folders, PORT_PROFILE)


def test_uninstall_removes_what_was_installed(tmp_path):
    for target, count in ('install', 3), ('uninstall', 0):
        root = make(target, tmp_path)
        assert len([path for path in root.rglob('*') if path.is_file()]) == count


def test_rpm_says_what_it_needs_and_restarts_nothing(library_rpm):
    assert output('rpm', '-qp', '--qf', '%{ARCH}', library_rpm) == os.uname().machine
    assert 'libvirt-daemon-driver-qemu' in output('rpm', '-qp', '--requires', library_rpm).split('\n')
    assert 'vdsm-hook-vmfex-dev' not in output('rpm', '-qp', '--conflicts', library_rpm)
    scripts = output('rpm', '-qp', '--scripts', library_rpm)
    assert 'daemon-reload' in scripts and 'restart' not in scripts
