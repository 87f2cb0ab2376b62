# SPDX-License-Identifier: GPL-2.0-or-later
"""The unit tests on each interpreter from 3.6 on that this machine has."""

import glob
import os
import re
import subprocess

import pytest

from tests.hook import TREE
from tests.vdsm_runner import PLAIN


def find_interpreters():
    """Return the paths of the interpreters, by version."""
    found = {}
    for folder in '/usr/bin', '/usr/local/bin', os.path.expanduser('~/.pyenv/versions/3.*/bin'):
        for path in glob.glob(folder + '/python3*'):
            if re.search(r'/python3(\.\d+)?$', path):
                # An interpreter that was built for another release may not run here.
                script = 'import sys; print("%s.%s" % sys.version_info[:2], sys.version_info >= (3, 6))'
                done = subprocess.run([path, '-c', script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
                version, _, right = done.stdout.decode().strip().partition(' ')
                if right == 'True':
                    found.setdefault(version, path)
    return found


INTERPRETERS = find_interpreters()


@pytest.fixture(params=sorted(INTERPRETERS, key=lambda version: int(version.split('.')[1])))
def python(request):
    """An interpreter with pytest, its own or, from PyPI, one in build: a path and an environment."""
    path, folder = INTERPRETERS[request.param], os.path.join(TREE, 'build', 'pytest-' + request.param)
    env = {**os.environ, 'PYTHONPATH': folder, 'VDSM_LIB': PLAIN}

    def fails(*args):
        silent = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL}
        return subprocess.run([path, '-m', *args], env=env, **silent).returncode

    if fails('pytest', '--version'):
        install = 'install', '--target', folder, 'pytest'
        # Old releases of pip fail where this user's configuration has wheels for newer interpreters.
        if fails('pip', *install) and fails('pip', '--isolated', *install):
            pytest.skip(f'{path} has no pytest, and pip gets none for it')
    return path, env


def test_unit_tests_pass(python):
    path, env = python
    command = [path, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', 'tests/unit']
    done = subprocess.run(command, cwd=TREE, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0 and b' passed' in done.stdout, done.stdout.decode()
