# SPDX-License-Identifier: GPL-2.0-or-later
"""What --test says of libvirtd's library, by what this process has; tests/lab has it with a real libvirtd."""

import builtins

import pytest

from vmfex import library
from vmfex.library import describe_library

LIBC, PATH = '/usr/lib64/libc.so.6', '/usr/lib64/libvmfex-port-profile.so'


@pytest.fixture
def run(monkeypatch, tmpdir):
    """A folder that stands for /run and /proc."""
    real = builtins.open
    monkeypatch.setattr(library, 'open', lambda path: real(str(tmpdir) + path), raising=False)
    return tmpdir


@pytest.mark.parametrize('name', ['libvirtd', 'virtqemud'])
@pytest.mark.parametrize('file, has', [(PATH, True), (PATH + ' (deleted)', False), (PATH + '.old', False)])
def test_daemon_is_named_and_to_be_restarted_unless_it_has_the_library_as_it_is_now(run, name, file, has):
    run.ensure('run', name + '.pid').write('7\n')
    maps = ''.join(f'7f00-7f01 r-xp 00000000 00:2a 42   {path}\n' for path in (LIBC, file, LIBC))
    run.ensure('proc', '7', 'maps').write(maps)
    line = f'{name} {"has" if has else "has not"} loaded the library of vdsm-hook-vmfex-libvirt'
    cure = f'put this host into maintenance, install it, then systemctl restart {name}'
    assert describe_library() == (line, '' if has else cure)


def test_what_cannot_be_seen_is_said(run, monkeypatch):
    unknown = 'whether libvirtd has loaded the library of vdsm-hook-vmfex-libvirt is unknown ({})'
    for _ in 'no daemon', 'one that has ended':
        assert describe_library() == (unknown.format('neither libvirtd nor virtqemud runs'), '')
        run.ensure('run', 'libvirtd.pid').write('7\n')

    def refuse(path):
        raise FileNotFoundError if 'virtqemud' in path else PermissionError(13, 'Permission denied', path)

    monkeypatch.setattr(library, 'open', refuse)
    denied = "[Errno 13] Permission denied: '/run/libvirtd.pid'"
    assert describe_library() == (unknown.format(denied), '')
