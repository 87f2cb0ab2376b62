# SPDX-License-Identifier: GPL-2.0-or-later
"""The unit tests on each interpreter from 3.6 on that this machine has, on EL's with EL's pytest."""

import glob
import os
import re
import subprocess

import pytest

from tests.hook import TREE
from tests.vdsm_runner import PLAIN

# EL8's, EL9's and EL10's, by the minor version of their Python.
PYTESTS = {
    6: '--no-deps pytest==3.4.2 attrs==17.4.0 pluggy==0.6.0 py==1.5.3 six==1.11.0',
    9: 'pytest==6.2.2',
    12: 'pytest==7.4.3',
}


def find_interpreters():
    """Return the paths of the interpreters, by minor version."""
    found = {}
    for folder in '/usr/bin', '/usr/local/bin', os.path.expanduser('~/.pyenv/versions/3.*/bin'):
        for path in glob.glob(folder + '/python3.*'):
            minor = re.fullmatch(r'.*/python3\.(\d+)', path)
            # An interpreter that was built for another release may not run here.
            if minor and subprocess.run([path, '-c', ''], stderr=subprocess.DEVNULL).returncode == 0:
                found.setdefault(int(minor.group(1)), path)
    return {minor: path for minor, path in sorted(found.items()) if minor >= 6}


@pytest.mark.parametrize('minor, path', find_interpreters().items())
def test_unit_tests_pass_as_when_the_rpm_is_built(minor, path):
    """With a pytest without plugins: the interpreter's own, or from PyPI in build."""
    packages = PYTESTS.get(minor, 'pytest')
    folder = os.path.join(TREE, 'build', '-'.join(re.findall(r'[\w.]+', f'py3.{minor} {packages}')))
    env = {**os.environ, 'PYTHONPATH': folder, 'VDSM_LIB': PLAIN, 'PYTEST_DISABLE_PLUGIN_AUTOLOAD': '1'}
    env.pop('PYTEST_ADDOPTS', None)

    def run(*args):
        pipes = {'stdout': subprocess.PIPE, 'stderr': subprocess.STDOUT}
        done = subprocess.run([path, '-m', *args], cwd=TREE, env=env, **pipes)
        return done.returncode, done.stdout.decode()

    if not os.path.isdir(folder) and (packages != 'pytest' or run('pytest', '--version')[0]):
        install = 'install', '--target', folder, *packages.split()
        # Old releases of pip fail where this user's configuration has wheels for newer interpreters.
        if run('pip', *install)[0] and run('pip', '--isolated', *install)[0]:
            pytest.skip(f'pip gets no {packages} for {path}')
    status, text = run('pytest', '-p', 'no:cacheprovider', 'tests/unit')
    assert status == 0 and ' passed' in text and ' warning' not in text.lower(), text


def test_ids_are_lists():
    """EL8's pytest takes nothing else, and EL8's Python may not be here."""
    for path in glob.glob(TREE + '/tests/unit/*.py'):
        with open(path, encoding='utf-8') as source:
            assert not re.findall(r'\bids=(?!\[|list\().*', source.read()), path
