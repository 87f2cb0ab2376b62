# SPDX-License-Identifier: GPL-2.0-or-later

import fcntl
import os

import pytest


@pytest.fixture
def lock(vmfex, monkeypatch, tmpdir):
    monkeypatch.setattr(vmfex, 'LOCK', str(tmpdir.join('lock')))
    monkeypatch.setattr(vmfex, 'LOCK_TIMEOUT', 1)
    return vmfex.lock


def test_lock_is_waited_for_no_longer_than_the_limit(lock, vmfex):
    with lock(), pytest.raises(vmfex.Failure, match='^another hook has held .*lock for 1 seconds'):
        with lock():
            pass
    with lock():
        pass


def test_lock_is_free_for_others_when_it_is_let_go(lock, vmfex):
    with lock():
        with open(vmfex.LOCK) as f:
            with pytest.raises(OSError):
                fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with open(vmfex.LOCK) as f:
        fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_lock_file_of_another_user_will_do(lock, vmfex, tmpdir):
    tmpdir.join('lock').write('')
    tmpdir.join('lock').chmod(0o444)
    with lock():
        pass


def test_fifo_in_the_place_of_the_lock_file_is_named_and_not_waited_for(lock, vmfex):
    os.mkfifo(vmfex.LOCK)
    with pytest.raises(vmfex.Failure, match='lock is no regular file: remove it'):
        with lock():
            pass


def test_folder_in_the_place_of_the_lock_file_is_named(lock, vmfex):
    os.mkdir(vmfex.LOCK)
    with pytest.raises(OSError, match='Is a directory: .*lock'):
        with lock():
            pass


def test_wait_is_sixty_seconds(vmfex):
    assert (vmfex.LOCK, vmfex.LOCK_TIMEOUT) == ('/run/vdsm/hook-vmfex.lock', 60)
