# SPDX-License-Identifier: GPL-2.0-or-later
"""The library and libvirtd's drop-in as they are installed, and ld.so that finds the library."""

import configparser
import os
import subprocess

import pytest

from tests.hook import TREE
from tests.lab.fabric import PORT_PROFILE, compile_port_profile

UNITS = '/usr/lib/systemd/system/'
NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='needs root, for the set-user-ID bit')


def output(*command, **kwargs):
    return subprocess.check_output(command, text=True, **kwargs)


def make(target, library, root):
    subprocess.check_call(['make', '-s', '-C', TREE, target, 'LIBRARY=' + library, 'DESTDIR=' + root])


@pytest.fixture(scope='module')
def root_by_make(tmp_path_factory):
    root = str(tmp_path_factory.mktemp('make-install'))
    make('install-port-profile', compile_port_profile(str(tmp_path_factory.mktemp('build'))), root)
    return root


@pytest.fixture(scope='module')
def root_by_rpm(tmp_path_factory, library_rpm):
    root = str(tmp_path_factory.mktemp('rpm-root'))
    subprocess.check_call(['rpm', '--install', '--nodeps', '--noscripts', '--root', root, library_rpm])
    return root


@pytest.fixture(params=['make', 'rpm'])
def root(request):
    """An empty root in which the library was installed, by make and by rpm."""
    return request.getfixturevalue('root_by_' + request.param)


def files_in(root):
    return [os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names]


def library_in(root):
    [path] = [path for path in files_in(root) if os.path.basename(path) == PORT_PROFILE]
    return path


SCRIPT = """
    mount -t tmpfs -o mode=755 tmpfs /mnt
    mkdir /mnt/new /mnt/work
    cp --preserve=mode "$library" /mnt/new
    cp /usr/bin/env /usr/bin/cat /mnt
    chmod 4755 /mnt/env /mnt/cat
    [ -z "$mode" ] || chmod "$mode" /mnt/new/*
    mount -t overlay -o lowerdir="$folder",upperdir=/mnt/new,workdir=/mnt/work overlay "$folder"
    exec "$@"
"""


def run(program, library, at_secure, preload=PORT_PROFILE, mode=''):
    """
    Run a program with a library in the machine's standard folder, as seen by it alone, and for which {}
    stands in preload. Returns its output.

    The program has the set-user-ID bit of root: as nobody, it runs with AT_SECURE.
    """
    folder = output('pkg-config', '--variable=libdir', 'libnl-3.0').strip()
    return output(
        *['unshare', '--mount', 'sh', '-ec', SCRIPT, 'sh', *(NOBODY if at_secure else [])],
        *['env', 'LD_PRELOAD=' + preload.format(folder), *program],
        env={**os.environ, 'library': library, 'folder': folder, 'mode': mode},
        stderr=subprocess.DEVNULL,  # ld.so says there what it does not preload
    )


def is_preloaded(*args):
    return PORT_PROFILE in run(['/mnt/cat', '/proc/self/maps'], *args)


def test_library_has_the_set_user_id_bit_and_nobody_can_run_it(root):
    info = os.stat(library_in(root))
    assert (info.st_mode & 0o7777, info.st_uid, info.st_gid) == (0o4644, 0, 0)


@pytest.mark.parametrize('unit', ['libvirtd', 'virtqemud'])
def test_drop_in_preloads_the_library_by_its_bare_name(root, unit):
    drop_in = configparser.ConfigParser()
    drop_in.optionxform = str
    with open(f'{root}{UNITS}{unit}.service.d/50-vmfex.conf') as f:
        drop_in.read_file(f)
    assert {name: dict(drop_in[name]) for name in drop_in.sections()} == {
        'Service': {'Environment': 'LD_PRELOAD=' + os.path.basename(library_in(root))}
    }


def test_library_is_found_with_at_secure_too(root):
    assert is_preloaded(library_in(root), True)


@pytest.mark.parametrize(
    'preload, mode, with_at_secure',
    [(PORT_PROFILE, '644', False), ('{}/' + PORT_PROFILE, '4644', False), (PORT_PROFILE, '4644', True)],
)
def test_ld_so_wants_a_set_user_id_bit_and_a_bare_name(root_by_make, preload, mode, with_at_secure):
    assert is_preloaded(library_in(root_by_make), False, preload, mode)
    assert is_preloaded(library_in(root_by_make), True, preload, mode) == with_at_secure


def test_children_get_no_ld_preload_with_at_secure(root_by_make):
    """Without SELinux QEMU gets it from libvirtd, which passes it on: it does nothing there."""
    for at_secure in False, True:
        environment = run(['/mnt/env'], library_in(root_by_make), at_secure).split('\n')
        assert ('LD_PRELOAD=' + PORT_PROFILE in environment) == (not at_secure)


def test_uninstall_removes_what_was_installed(tmp_path):
    library, root = compile_port_profile(str(tmp_path)), str(tmp_path / 'root')
    for target, count in ('install', 3), ('uninstall', 0):
        make(target + '-port-profile', library, root)
        assert len(files_in(root)) == count


def test_rpm_says_what_it_needs_and_restarts_nothing(library_rpm):
    def query(*args):
        return output('rpm', '-qp', *args, library_rpm)

    name, arch = query('--qf', '%{NAME} %{ARCH}').split()
    assert (name, arch) == ('vdsm-hook-vmfex-libvirt', os.uname().machine)
    assert {'libvirt-daemon-driver-qemu'} <= set(query('--requires').split('\n'))
    assert 'vdsm-hook-vmfex-dev' not in query('--conflicts')
    scripts = query('--scripts')
    assert 'daemon-reload' in scripts
    assert 'restart' not in scripts
