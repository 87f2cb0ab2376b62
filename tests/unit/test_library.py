# SPDX-License-Identifier: GPL-2.0-or-later
"""What --test says of libvirtd's library, by what this process has; tests/lab has it with a real libvirtd."""

import builtins

import pytest

from vmfex import library
from vmfex.library import describe_library

HAS = ' has loaded the library of vdsm-hook-vmfex-libvirt'


@pytest.fixture
def run(monkeypatch, tmpdir):
    """A folder that stands for /run and /proc."""
    real = builtins.open
    monkeypatch.setattr(library, 'open', lambda path: real(str(tmpdir) + path), raising=False)
    for folder in 'run', 'proc':
        tmpdir.mkdir(folder)
    return tmpdir


def daemon(run, name, pid, *files):
    run.join('run', name + '.pid').write(f'{pid}\n')
    maps = ''.join(f'7f00-7f01 r-xp 00000000 00:2a 42   {file}\n' for file in files)
    run.join('proc').mkdir(str(pid)).join('maps').write(maps)


PATH = '/usr/lib64/libvmfex-port-profile.so'


@pytest.mark.parametrize('name', ['libvirtd', 'virtqemud'])
def test_daemon_that_has_the_library_is_named(run, name):
    daemon(run, name, 7, '/usr/lib64/libc.so.6', PATH)
    assert describe_library() == (name + HAS, '')


@pytest.mark.parametrize('files', [[], ['/usr/lib64/libc.so.6'], [PATH + ' (deleted)'], [PATH + '.old']])
def test_daemon_without_the_library_or_with_one_that_was_replaced_is_to_be_restarted(run, files):
    daemon(run, 'libvirtd', 7, *files)
    cure = 'install it, then systemctl restart libvirtd'
    assert describe_library() == ('libvirtd' + HAS.replace('has', 'has not'), cure)


def test_what_cannot_be_seen_is_said(run):
    for _ in 'no daemon', 'one that has ended':
        line, cure = describe_library()
        assert ' is unknown ([Errno 2] No such file or directory: ' in line and cure == ''
        run.join('run', 'libvirtd.pid').write('7\n')
