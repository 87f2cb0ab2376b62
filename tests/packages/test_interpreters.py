# SPDX-License-Identifier: GPL-2.0-or-later
"""The unit tests on each interpreter from 3.6 on that this machine has, on EL's with EL's pytest."""

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
# EL8's, EL9's and EL10's.
PYTESTS = {
    '3.6': '--no-deps pytest==3.4.2 attrs==17.4.0 pluggy==0.6.0 py==1.5.3 six==1.11.0',
    '3.9': 'pytest==6.2.2',
    '3.12': 'pytest==7.4.3',
}


@pytest.fixture(params=sorted(INTERPRETERS, key=lambda version: int(version.split('.')[1])))
def python(request):
    """An interpreter and its environment, with a pytest without plugins: its own, or from PyPI in build."""
    path, packages = INTERPRETERS[request.param], PYTESTS.get(request.param, 'pytest')
    folder = os.path.join(TREE, 'build', '-'.join(re.findall(r'[\w.]+', f'py{request.param} {packages}')))
    env = {**os.environ, 'PYTHONPATH': folder, 'VDSM_LIB': PLAIN, 'PYTEST_DISABLE_PLUGIN_AUTOLOAD': '1'}
    env.pop('PYTEST_ADDOPTS', None)

    def fails(*args):
        silent = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL}
        return subprocess.run([path, '-m', *args], env=env, **silent).returncode

    if not os.path.isdir(folder) and (packages != 'pytest' or fails('pytest', '--version')):
        install = 'install', '--target', folder, *packages.split()
        # Old releases of pip fail where this user's configuration has wheels for newer interpreters.
        if fails('pip', *install) and fails('pip', '--isolated', *install):
            pytest.skip(f'pip gets no {packages} for {path}')
    return path, env


def test_unit_tests_pass_as_when_the_rpm_is_built(python):
    path, env = python
    command = [path, '-m', 'pytest', '-p', 'no:cacheprovider', 'tests/unit']
    done = subprocess.run(command, cwd=TREE, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text = done.stdout.decode()
    assert done.returncode == 0 and ' passed' in text and ' warning' not in text.lower(), text


def test_ids_are_lists():
    """EL8's pytest takes nothing else, and EL8's Python may not be here."""
    for path in glob.glob(TREE + '/tests/unit/*.py'):
        with open(path, encoding='utf-8') as source:
            assert not re.findall(r'\bids=(?!\[|list\().*', source.read()), path
