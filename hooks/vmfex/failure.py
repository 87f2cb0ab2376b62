# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes wrong, and how it becomes one line on stderr."""

import functools
import signal
import sys
import traceback


class Failure(Exception):
    """An expected failure. Its text is the line that the administrator gets."""


def exit_on_failure(function):
    """Decorate a function: if it fails, it exits with status 2 and a line on stderr."""

    @functools.wraps(function)
    def call(*args):
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback
        try:
            return function(*args)
        except Failure as e:
            message = e
        except ImportError as e:
            message = f"{e}: this runs on an oVirt host, with VDSM and libvirt's Python binding"
        except OSError as e:
            message = f"{e}: check that the file or folder exists, has space left and that VDSM may use it"
        except Exception:
            where = "rpm -qi vdsm-hook-vmfex shows where"
            message = f"this is a bug, please report it ({where}):\n" + traceback.format_exc().rstrip()
        sys.stderr.write(f'vmfex: {message}\n')
        sys.exit(2)  # for VDSM: failed, and no later hook is to run

    return call
