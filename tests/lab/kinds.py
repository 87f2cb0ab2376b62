# SPDX-License-Identifier: GPL-2.0-or-later
"""Marks for tests that run on hosts of both kinds: alpha's and beta's."""

import pytest

from tests.lab.hosts import EL9_VFS, VFS, VNICS

ON_BOTH_KINDS = pytest.mark.parametrize(
    'kinds', [(VNICS, VNICS), (VFS, VFS)], ids=[VNICS, VFS], indirect=True
)
ON_VFS = pytest.mark.parametrize('kinds', [(VFS, VFS), (EL9_VFS, EL9_VFS)], ids=[VFS, EL9_VFS], indirect=True)
ON_ALL_PAIRS = pytest.mark.parametrize(
    'kinds', [(VNICS, VNICS), (VNICS, EL9_VFS), (EL9_VFS, VFS)], ids='-'.join, indirect=True
)
