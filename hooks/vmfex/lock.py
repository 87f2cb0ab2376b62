# SPDX-License-Identifier: GPL-2.0-or-later
"""The lock under which hooks change direct-pool, one at a time."""

import contextlib
import fcntl
import os
import signal

from vmfex.failure import Failure

LOCK = '/run/vdsm/hook-vmfex.lock'  # vdsm-hook-vmfex-dev takes it, too
LOCK_TIMEOUT = 60  # seconds


@contextlib.contextmanager
def lock():
    """Hold the lock. Raises Failure after LOCK_TIMEOUT, OSError if there can't be a lock."""
    signal.signal(signal.SIGALRM, time_out)
    # O_RDONLY is enough for a lock, and allowed where another user made the file.
    fd = os.open(LOCK, os.O_RDONLY | os.O_CREAT, 0o644)
    try:
        signal.alarm(LOCK_TIMEOUT)
        fcntl.flock(fd, fcntl.LOCK_EX)
        signal.alarm(0)
        yield
    finally:
        os.close(fd)


def time_out(signum, frame):
    held = f"another hook has held {LOCK} for {LOCK_TIMEOUT} seconds"
    raise Failure(held, "end it (lslocks shows its PID)")
