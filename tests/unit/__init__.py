# SPDX-License-Identifier: GPL-2.0-or-later

import contextlib

import pytest

from tests.messages import check_stderr
from vmfex.failure import Failure


@contextlib.contextmanager
def refused(says):
    """Check that what is done in the with statement is refused, with a short line that says this."""
    with pytest.raises(Failure) as refusal:
        yield refusal
    line = str(refusal.value)
    assert says in line and line.isprintable() and len(line) < 300
    check_stderr(f'vmfex: {line}', failed=True)
