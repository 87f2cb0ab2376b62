# SPDX-License-Identifier: GPL-2.0-or-later
"""The library and libvirtd's drop-in as they are installed, and ld.so that finds the library."""

import subprocess

import pytest

from tests.hook import TREE, output
from tests.lab.fabric import PORT_PROFILE

# LD_PRELOAD, and what children get of it. {} is the library's folder.
PRELOADS = {
    PORT_PROFILE: None,
    f'{{}}/{PORT_PROFILE}': None,
    f' :{PORT_PROFILE}: {{}}/{PORT_PROFILE}': None,
    f'{PORT_PROFILE}:{{}}/other.so': '{}/other.so',
    f'other.so:{PORT_PROFILE} {{}}/other-{PORT_PROFILE}': f'other.so:{{}}/other-{PORT_PROFILE}',
}


def make(target, root):
    folders = f'LIBRARY={root}/build/{PORT_PROFILE}', f'DESTDIR={root}'
    output('make', '-s', '-C', TREE + '/libvirtd', target, *folders)


@pytest.fixture(scope='module', params=['make', 'rpm'])
def root(request, tmp_path_factory):
    """An empty root in which the library was installed, by make and by rpm."""
    root = tmp_path_factory.mktemp('root')
    if request.param == 'make':
        make('install', root)
    else:
        rpm = request.getfixturevalue('library_rpm')
        output('rpm', '--install', '--nodeps', '--noscripts', '--root', root, rpm)
    return root


@pytest.fixture
def library(root):
    """The path of the library in that root."""
    [path] = root.glob(f'usr/**/{PORT_PROFILE}')
    return path


def test_library_has_the_set_user_id_bit_and_nobody_can_run_it(library):
    info = library.stat()
    assert (info.st_mode & 0o7777, info.st_uid, info.st_gid) == (0o4644, 0, 0)


@pytest.mark.parametrize('unit', ['libvirtd', 'virtqemud'])
def test_drop_in_preloads_the_library_by_its_bare_name(root, unit):
    drop_in = (root / f'usr/lib/systemd/system/{unit}.service.d/50-vmfex.conf').read_text()
    settings = [line for line in drop_in.splitlines() if not line.startswith('#')]
    assert settings == ['[Service]', f'Environment=LD_PRELOAD={PORT_PROFILE}']


@pytest.mark.parametrize('preload', PRELOADS)
def test_library_takes_only_its_own_name_out_of_ld_preload(library, preload):
    folder, left = library.parent, PRELOADS[preload]
    env = {'LD_LIBRARY_PATH': str(folder), 'LD_PRELOAD': preload.format(folder)}
    # ld.so warns of others that it does not find.
    seen = output('env', env=env, stderr=subprocess.DEVNULL).splitlines()
    assert seen == [f'LD_LIBRARY_PATH={folder}'] + [f'LD_PRELOAD={left}'.format(folder)] * (left is not None)


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
        make(target, tmp_path)
        assert len([path for path in tmp_path.glob('usr/**/*') if path.is_file()]) == count
