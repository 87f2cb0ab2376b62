# SPDX-License-Identifier: GPL-2.0-or-later

import os
import sys

import pytest

from tests.hook import HOOKS
from tests.vdsm_runner import call_hook, find_vdsm


@pytest.fixture
def run_hook():
    """Calls the hooks of a hook point as VDSM does, on this interpreter. Returns the XML and the log."""
    vdsm_here = find_vdsm()

    def run(point, xml, vmfex=None, vdsm=vdsm_here, **environment):
        custom = environment if vmfex is None else {'vmfex': vmfex, **environment}
        return call_hook(os.path.join(HOOKS, point), xml, custom, command=[sys.executable], vdsm=vdsm)

    return run
