# SPDX-License-Identifier: GPL-2.0-or-later
"""From a call of the hook to its work, and from what goes wrong to one line on stderr."""

import signal
import sys
import traceback
from xml.parsers.expat import ExpatError

from vmfex.failure import Failure


def main(run, *arguments):
    """Call run, of hook_points or command_line, with these. Exits with status 2 after a failure."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback
    try:
        run(*arguments)
        return
    except Failure as e:
        message = e
    except ExpatError as e:
        message = f"the XML of the VM can't be read: {e}; a hook that ran before this one may have written it"
    except ImportError as e:
        message = f"{e}: this runs on an oVirt host, with VDSM and libvirt's Python binding"
    except OSError as e:
        message = f"{e}: check that the file or folder exists, has space left and that VDSM may use it"
    except Exception:
        message = "this is a bug, please report it with all of this:\n" + traceback.format_exc().rstrip()
    sys.stderr.write(f'vmfex: {message}\n')
    sys.exit(2)  # for VDSM: failed, and no later hook is to run
