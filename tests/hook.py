# SPDX-License-Identifier: GPL-2.0-or-later
"""The hook of this source tree."""

import importlib.machinery
import importlib.util
import os

HOOKS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'hooks')
HOOK = os.path.join(HOOKS, 'before_vm_start', '50_vmfex')


def load():
    """Return the hook as a module, for its functions."""
    loader = importlib.machinery.SourceFileLoader('vmfex', HOOK)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader('vmfex', loader))
    loader.exec_module(module)
    return module
