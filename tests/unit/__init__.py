# SPDX-License-Identifier: GPL-2.0-or-later

import pytest


def cases(table):
    """Return the arguments of parametrize, of a dict of id to values."""
    return [pytest.param(*values, id=name) for name, values in table.items()]
