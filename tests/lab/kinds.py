# SPDX-License-Identifier: GPL-2.0-or-later
"""Marks for the kinds of alpha and beta, in pairs."""

import pytest

from tests.lab.hosts import EL9_VFS, EL9_VNICS, VFS, VNICS


def on(*kinds):
    return pytest.mark.parametrize('kinds', kinds, ids='-'.join, indirect=True)


ON_BOTH_KINDS = on((VNICS, VNICS), (VFS, VFS))
ON_VFS = on((VFS, VFS))
ON_EL9 = on((EL9_VNICS, EL9_VNICS), (EL9_VFS, EL9_VFS))
ON_ALL_KINDS = on(*((kind, kind) for kind in (VNICS, VFS, EL9_VNICS, EL9_VFS)))
ON_ALL_PAIRS = on((VNICS, VNICS), (VNICS, EL9_VFS), (EL9_VFS, VFS))
