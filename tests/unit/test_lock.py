# SPDX-License-Identifier: GPL-2.0-or-later

import fcntl
import os
import signal
import stat
import subprocess
import sys

import pytest

from tests.hook import HOOKS
from tests.messages import check_stderr
from vmfex import lock as lock_module

# Waits for the lock on that file, for a second.
WAIT = """
import sys
from vmfex import lock
lock.LOCK, lock.LOCK_TIMEOUT = sys.argv[1], 1
with lock.lock(): pass
"""


@pytest.fixture
def lock(monkeypatch, tmpdir):
    """The lock, on a file of the test's own."""
    monkeypatch.setattr(lock_module, 'LOCK', str(tmpdir.join('lock')))
    return lock_module.lock


def test_lock_is_waited_for_no_longer_than_the_limit_and_free_again_after_it(lock):
    with lock():
        # In another process, so that what waits for ever ends here, too.
        command = [sys.executable, '-Bc', WAIT, lock_module.LOCK]
        waits = subprocess.run(command, cwd=HOOKS, stderr=subprocess.PIPE, timeout=20)
    line = waits.stderr.decode().splitlines()[-1].partition('Failure: ')[2]
    assert line.startswith(f'another hook has held {lock_module.LOCK} for 1 seconds: end it (lslocks')
    check_stderr(f'vmfex: {line}', failed=True)
    with open(lock_module.LOCK) as f:
        fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_lock_file_is_nobody_elses_to_write_and_the_limit_is_for_the_wait_alone(lock):
    old = os.umask(0)
    try:
        with lock():
            assert stat.S_IMODE(os.stat(lock_module.LOCK).st_mode) == 0o644
            assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    finally:
        os.umask(old)


def test_lock_file_of_another_user_will_do(lock, monkeypatch, tmpdir):
    tmpdir.ensure('lock').chmod(0o444)
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
