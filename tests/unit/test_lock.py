# SPDX-License-Identifier: GPL-2.0-or-later

import fcntl
import os
import signal

import pytest

from tests.unit import refused
from vmfex import lock as lock_module


@pytest.fixture
def lock(monkeypatch, tmpdir):
    """The lock, on a file of the test's own, and with a limit of a second."""
    monkeypatch.setattr(lock_module, 'LOCK', str(tmpdir.join('lock')))
    monkeypatch.setattr(lock_module, 'LOCK_TIMEOUT', 1)
    return lock_module.lock


def test_lock_is_waited_for_no_longer_than_the_limit_and_free_again_after_it(lock):
    with lock(), refused(f'another hook has held {lock_module.LOCK} for 1 seconds: end it'):
        with lock():
            pass
    with open(lock_module.LOCK) as f:
        fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_limit_does_not_count_for_what_is_done_under_the_lock(lock):
    with lock():
        assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_lock_file_of_another_user_will_do(lock, monkeypatch, tmpdir):
    tmpdir.join('lock').write('')
    tmpdir.join('lock').chmod(0o444)
    tmpdir.chmod(0o755)
    monkeypatch.chdir(tmpdir)
    monkeypatch.setattr(lock_module, 'LOCK', 'lock')
    if os.getuid() == 0:
        os.seteuid(65534)  # nobody
    try:
        with lock():
            pass
    finally:
        os.seteuid(os.getuid())
