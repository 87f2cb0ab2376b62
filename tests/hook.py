# SPDX-License-Identifier: GPL-2.0-or-later
"""The hook of this source tree, and where things are."""

import os
import subprocess
import sys

TESTS = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(TESTS)
HOOKS = os.path.join(TREE, 'hooks')
HOOK = os.path.join(HOOKS, 'before_vm_start', '50_vmfex')
INSTALLED = '/usr/libexec/vdsm/hooks'

sys.dont_write_bytecode = True


def output(*command, **kwargs):
    """Run a command. Returns its output, as text."""
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, **kwargs).stdout
