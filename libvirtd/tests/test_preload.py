# SPDX-License-Identifier: GPL-2.0-or-later
"""The library takes its own name out of LD_PRELOAD, so that only libvirtd has it."""

import os
import re
import shutil
import subprocess

import pytest

from tests.lab.fabric import PORT_PROFILE, compile_port_profile

# LD_PRELOAD, and what is left of it. {} is a folder with the library and two others.
CASES = {
    PORT_PROFILE: None,
    f'{{}}/{PORT_PROFILE}': None,
    f' :{PORT_PROFILE}: ': None,
    f'{PORT_PROFILE} {{}}/{PORT_PROFILE}': None,
    f'{PORT_PROFILE}:{{}}/other.so': '{}/other.so',
    f'other.so {{}}/{PORT_PROFILE}': 'other.so',
    f'other.so:{PORT_PROFILE} {{}}/other-{PORT_PROFILE}': f'other.so:{{}}/other-{PORT_PROFILE}',
}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder where ld.so finds libraries, the one for libvirtd among them."""
    folder = str(tmp_path_factory.mktemp('libraries'))
    compile_port_profile(folder)
    empty = ['gcc', '-shared', '-o', folder + '/other.so', '-x', 'c', os.devnull]
    subprocess.run(empty, check=True)
    shutil.copy(folder + '/other.so', f'{folder}/other-{PORT_PROFILE}')
    return folder


@pytest.mark.parametrize('preload', CASES)
def test_only_its_own_name_is_taken_out_of_ld_preload(folder, preload):
    env = {'LD_LIBRARY_PATH': folder, 'LD_PRELOAD': preload.format(folder)}

    def run(*command):
        return subprocess.check_output(command, env=env, stderr=subprocess.STDOUT, text=True)

    asked_for = {os.path.basename(name) for name in re.split('[: ]', preload)} - {''}
    assert asked_for <= set(re.findall(rf'{folder}/(.*)', run('cat', '/proc/self/maps')))
    variables = dict(line.split('=', 1) for line in run('env').splitlines())
    assert variables.get('LD_PRELOAD') == (CASES[preload] and CASES[preload].format(folder))
    assert variables['LD_LIBRARY_PATH'] == folder
