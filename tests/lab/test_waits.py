# SPDX-License-Identifier: GPL-2.0-or-later
"""The hook waits for the lock and for libvirt, and says what it can't wait for."""

import concurrent.futures
import contextlib
import fcntl
import os
import re
import signal
from pathlib import Path

import pytest

from tests.lab.vm import VM
from tests.lab.wait import wait_for
from tests.vdsm_runner import HookError

LOCK = '/run/vdsm/hook-vmfex.lock'
# Which may be closed meanwhile.
FILES_OF_HOOKS = 'for pid in $(pgrep -f 50_vmfex); do ls -l /proc/$pid/fd; done; true'


@contextlib.contextmanager
def locked(host):
    """Holds the hooks' lock. Gives a function that tells whether a process waits for it."""
    with open(host.path(LOCK), 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = re.compile(f'->.*:{os.fstat(lock.fileno()).st_ino} ')
        yield lambda: waiting.search(Path('/proc/locks').read_text())


@contextlib.contextmanager
def stopped_libvirtd(host):
    host.run('pkill', '-STOP', '-x', 'libvirtd')
    try:
        yield lambda: 'socket:' in host.run('sh', '-c', FILES_OF_HOOKS)
    finally:
        host.run('pkill', '-CONT', '-x', 'libvirtd')
        host.libvirtd.send_signal(signal.SIGCONT)  # nsenter stopped with it


@pytest.mark.parametrize('hold', [locked, stopped_libvirtd])
def test_hook_that_waits_ends_by_sigterm_before_its_wait_does(alpha, hold):
    with concurrent.futures.ThreadPoolExecutor() as executor:
        with hold(alpha) as waits:
            hook = executor.submit(alpha.prepare_pool)
            wait_for(waits)
            alpha.run('pkill', '-TERM', '-f', '50_vmfex')
            with pytest.raises(HookError) as error:
                hook.result()  # while what it waited for is still held
    assert (error.value.status, error.value.xml) == (-15, VM().xml)
    assert alpha.conn.listAllNetworks() == []
    assert alpha.prepare_pool() and alpha.pool_is_set_up()


def test_libvirtd_or_a_folder_that_is_not_there_is_one_line(alpha):
    os.rmdir(alpha.path('/run/vdsm'))
    with pytest.raises(HookError) as error:
        alpha.prepare_pool()
    assert error.value.says('[Errno 2] No such file or directory: ')
    alpha.kill_libvirtd()
    with pytest.raises(HookError) as error:
        alpha.prepare_pool()
    assert error.value.says('libvirt failed: Failed to connect socket to ')
