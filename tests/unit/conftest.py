# SPDX-License-Identifier: GPL-2.0-or-later

import functools
import sys

import pytest


@pytest.fixture
def run_hook(run_hook):
    """Calls the hooks of a hook point as that of tests/conftest.py does, but on this interpreter."""
    return functools.partial(run_hook, command=[sys.executable])
