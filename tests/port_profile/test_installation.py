# SPDX-License-Identifier: GPL-2.0-or-later
"""The library and libvirtd's drop-in as they are installed, and ld.so that finds the library."""

import collections
import configparser
import os
import shlex
import subprocess

import pytest

from tests.hook import TREE
from tests.lab.fabric import PORT_PROFILE, compile_port_profile

HERE = os.path.dirname(os.path.abspath(__file__))
UNITS = '/usr/lib/systemd/system/'
NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='needs root, for the set-user-ID bit')

Preloaded = collections.namedtuple('Preloaded', 'owner for_children')


@pytest.fixture(scope='module')
def root_by_make(tmp_path_factory):
    root = str(tmp_path_factory.mktemp('make-install'))
    library = compile_port_profile(str(tmp_path_factory.mktemp('build')))
    subprocess.run(
        ['make', '-s', '-C', TREE, 'install-port-profile', 'LIBRARY=' + library, 'DESTDIR=' + root],
        check=True,
    )
    return root


@pytest.fixture(scope='module')
def root_by_rpm(tmp_path_factory, library_rpm):
    root = str(tmp_path_factory.mktemp('rpm-root'))
    subprocess.run(['rpm', '--install', '--nodeps', '--noscripts', '--root', root, library_rpm], check=True)
    return root


@pytest.fixture(params=['make', 'rpm'])
def root(request):
    return request.getfixturevalue('root_by_' + request.param)


def library_in(root):
    [path] = [
        os.path.join(folder, PORT_PROFILE) for folder, _, names in os.walk(root) if PORT_PROFILE in names
    ]
    return path


@pytest.fixture
def preloaded(tmp_path):
    """
    Runs preloaded.c with a library in the machine's standard folder, as seen by it alone.

    Either as root or, with the set-user-ID bit of root, as nobody: that sets AT_SECURE.
    """
    program = str(tmp_path / 'preloaded')
    flags = shlex.split(subprocess.check_output(['pkg-config', '--cflags', '--libs', 'libnl-3.0'], text=True))
    # It has no symbol of libnl's.
    command = ['gcc', '-Wall', '-Wextra', '-Werror', '-o', program, HERE + '/preloaded.c']
    subprocess.run([*command, '-Wl,--no-as-needed', *flags, '-ldl'], check=True)
    os.chmod(program, 0o4755)

    folder = subprocess.check_output(['pkg-config', '--variable=libdir', 'libnl-3.0'], text=True).strip()
    script = """
        mount -t tmpfs -o mode=755 tmpfs /mnt
        mkdir /mnt/new /mnt/work
        cp --preserve=mode "$library" /mnt/new
        cp --preserve=mode "$program" /mnt/program
        [ -z "$mode" ] || chmod "$mode" /mnt/new/*
        mount -t overlay -o lowerdir="$folder",upperdir=/mnt/new,workdir=/mnt/work overlay "$folder"
        exec "$@" /mnt/program
    """

    def run(library, preload, at_secure, mode=''):
        out = subprocess.check_output(
            ['unshare', '--mount', 'sh', '-ec', script, 'sh']
            + (NOBODY if at_secure else [])
            + ['env', 'LD_PRELOAD=' + preload.format(folder)],
            env={**os.environ, 'library': library, 'program': program, 'folder': folder, 'mode': mode},
            text=True,
        )
        at_secure_seen, owner, for_children = out.split()
        assert at_secure_seen == str(int(at_secure))
        return Preloaded(os.path.basename(owner), for_children)

    return run


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


def test_library_is_found_with_at_secure_too(root, preloaded):
    for at_secure in False, True:
        assert preloaded(library_in(root), PORT_PROFILE, at_secure).owner == PORT_PROFILE


def test_what_ld_so_wants_with_at_secure(root_by_make, preloaded):
    """A set-user-ID bit and a bare name."""
    library = library_in(root_by_make)
    for preload, mode, with_at_secure in (
        (PORT_PROFILE, '644', False),
        ('{}/' + PORT_PROFILE, '4644', False),
        (PORT_PROFILE, '4644', True),
    ):
        assert preloaded(library, preload, False, mode).owner == PORT_PROFILE
        assert (preloaded(library, preload, True, mode).owner == PORT_PROFILE) == with_at_secure


def test_children_get_no_ld_preload_with_at_secure(root_by_make, preloaded):
    """Without SELinux QEMU gets it from libvirtd, which passes it on: it does nothing there."""
    library = library_in(root_by_make)
    assert preloaded(library, PORT_PROFILE, True).for_children == '-'
    assert preloaded(library, PORT_PROFILE, False).for_children == PORT_PROFILE


def test_uninstall_removes_what_was_installed(tmp_path):
    library = compile_port_profile(str(tmp_path))
    root = str(tmp_path / 'root')
    for target, count in ('install', 3), ('uninstall', 0):
        subprocess.run(
            ['make', '-s', '-C', TREE, target + '-port-profile', 'LIBRARY=' + library, 'DESTDIR=' + root],
            check=True,
        )
        assert sum(len(names) for _, _, names in os.walk(root)) == count


def test_rpm_says_what_it_needs_and_restarts_nothing(library_rpm):
    def query(*args):
        return subprocess.check_output(['rpm', '-qp', *args, library_rpm], text=True)

    name, arch = query('--qf', '%{NAME} %{ARCH}').split()
    assert (name, arch) == ('vdsm-hook-vmfex-libvirt', os.uname().machine)
    assert {'libvirt-daemon-driver-qemu'} <= set(query('--requires').split('\n'))
    assert 'vdsm-hook-vmfex-dev' not in query('--conflicts')
    scripts = query('--scripts')
    assert 'daemon-reload' in scripts
    assert 'restart' not in scripts
