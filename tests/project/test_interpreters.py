# SPDX-License-Identifier: GPL-2.0-or-later
"""The hook on each interpreter from 3.6 on that this machine has, less what needs libvirt."""

import glob
import os
import re
import subprocess
import sys

import pytest

from tests.hook import TREE


def find_interpreters():
    """Return the paths of the interpreters, by version."""
    found = {}
    for path in (
        glob.glob('/usr/bin/python3*')
        + glob.glob('/usr/local/bin/python3*')
        + glob.glob(os.path.expanduser('~/.pyenv/versions/3.*/bin/python3'))
    ):
        if re.search(r'/python3(\.\d+)?$', path):
            # An interpreter that was built for another release may not run here.
            done = subprocess.run(
                [path, '-c', 'import sys; print(*sys.version_info[:2])'],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            version = tuple(int(part) for part in done.stdout.split())
            if version >= (3, 6):
                found.setdefault(version, path)
    return found


INTERPRETERS = find_interpreters()


@pytest.mark.parametrize(
    'python',
    [pytest.param(path, id='{}.{}'.format(*version)) for version, path in sorted(INTERPRETERS.items())],
)
def test_hook_passes_its_tables(python):
    output = subprocess.check_output(
        [python, '-m', 'tests.project.run_tables'], cwd=TREE, stderr=subprocess.STDOUT, text=True
    )
    assert re.fullmatch(r'[1-9]\d* cases passed\n', output)


def test_this_interpreter_is_among_them():
    assert sys.version_info[:2] in INTERPRETERS
