# SPDX-License-Identifier: GPL-2.0-or-later
"""
Runs a hook and kills it (SIGKILL) before a line.

Environment: KILL_AT is the number of the line among those that the hook's main() and what it calls
run, from 1, each counted once. KILL_LOG is a file that gets their number if the hook ends by itself.
"""

import atexit
import os
import runpy
import signal
import sys

hook = sys.argv[1]
kill_at = int(os.environ['KILL_AT'])
seen = set()


def trace_line(frame, event, arg):
    if event == 'line' and frame.f_lineno not in seen:
        seen.add(frame.f_lineno)
        if len(seen) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
    return trace_line


def trace_call(frame, event, arg):
    of_the_hook = frame.f_code.co_filename == hook and frame.f_code.co_name != '<module>'
    return trace_line if of_the_hook else None


@atexit.register
def log():
    with open(os.environ['KILL_LOG'], 'w') as f:
        f.write(str(len(seen)))


sys.argv = [hook]
sys.settrace(trace_call)
runpy.run_path(hook, run_name='__main__')
