# SPDX-License-Identifier: GPL-2.0-or-later
"""The hook of this source tree, and where things are."""

import importlib.machinery
import importlib.util
import os

TESTS = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(TESTS)
HOOKS = os.path.join(TREE, 'hooks')
HOOK = os.path.join(HOOKS, 'before_vm_start', '50_vmfex')
INSTALLED = '/usr/libexec/vdsm/hooks'


def load():
    """Return the hook as a module, for its functions."""
    loader = importlib.machinery.SourceFileLoader('vmfex', HOOK)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader('vmfex', loader))
    loader.exec_module(module)
    return module
