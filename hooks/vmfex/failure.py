# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes wrong, and how it becomes one line on stderr."""

import contextlib
import signal
import sys
import traceback


class Failure(Exception):
    """An expected failure: what is wrong, perhaps with a detail that is quoted, and what to do about it."""

    def __init__(self, message, cure, detail=''):
        super().__init__(f'{message}: {detail}; {cure}' if detail else f'{message}: {cure}')


@contextlib.contextmanager
def exit_on_failure():
    """Decorate a function: if it fails, it exits with status 2 and a line on stderr."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback
    try:
        yield
        return
    except Failure as e:
        failure = e
    except ImportError as e:
        failure = Failure(e, "this runs on an oVirt host, with VDSM and libvirt's Python binding")
    except OSError as e:
        failure = Failure(e, "check that the file or folder exists, has space left and that VDSM may use it")
    except Exception:
        where = "rpm -qi vdsm-hook-vmfex shows where"
        failure = f"this is a bug, please report it ({where}):\n" + traceback.format_exc().rstrip()
    sys.stderr.write(f'vmfex: {failure}\n')
    sys.exit(2)  # for VDSM: failed, and no later hook is to run
