# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/make-vdsm and tests/make-engine make what VDSM_LIB and ENGINE_KIT stand for, from git checkouts."""

import os
import shutil
import subprocess

import pytest

from tests.hook import HOOKS, TESTS
from tests.project.test_engine import KIT, Engine, compile_engine, needs_engine
from tests.vdsm_runner import run_hooks
from tests.xml_builders import domain_xml

VDSM = os.path.dirname(os.environ.get('VDSM_LIB', ''))
MODULES = {
    'core/config': 'tools',
    'core/tools': 'tools',
    'core/compat': 'modules/compat',
    'core/utils': 'modules/utils',
}


def commit(folder):
    for command in (
        ['init', '-q'],
        ['add', '-Af'],
        ['-c', 'user.name=x', '-c', 'user.email=x', 'commit', '-qm', 'x'],
    ):
        subprocess.run(['git', '-C', folder, *command], check=True)
    subprocess.run(['git', '-C', folder, 'tag', 'v1.2.3'], check=True)


def make(script, checkout, folder):
    commit(checkout)
    subprocess.run([os.path.join(TESTS, script), checkout, 'v1.2.3', folder], check=True)


@pytest.mark.skipif(
    not os.path.exists(VDSM + '/lib/vdsm/common/config.py.in'), reason='VDSM_LIB has no templates'
)
def test_vdsm_from_a_checkout_can_be_imported_and_runs_hooks(tmp_path):
    checkout, folder = tmp_path / 'vdsm', tmp_path / 'made'
    shutil.copytree(
        VDSM, checkout, ignore=shutil.ignore_patterns('constants.py', 'config.py', 'dsaversion.py', 'etc')
    )
    for path in (
        'lib/vdsm/config.py',
        'lib/vdsm/constants.py',
        'lib/vdsm/storage/constants.py',
    ):  # are not templates
        shutil.copy(os.path.join(VDSM, path), checkout / path)
    make('make-vdsm', checkout, folder)
    point, custom = os.path.join(HOOKS, 'before_vm_start'), {'vmfex': "{'00:1a:4a:16:01:51':'P'}"}
    assert 'no NIC of this VM has' in run_hooks(point, domain_xml(), custom, vdsm=str(folder / 'lib'))[1]
    names = 'constants.P_VDSM_HOOKS, pki.PKI_DIR, dsaversion.software_version'
    script = f'from vdsm.common import config, constants, dsaversion, pki; print({names})'
    env = {**os.environ, 'PYTHONPATH': str(folder / 'lib')}
    out = subprocess.check_output(['/usr/bin/python3', '-c', script], env=env, text=True)
    assert out.split() == ['/usr/libexec/vdsm/hooks/', f'{folder}/etc/pki/vdsm', '1.2.3']


@needs_engine
def test_engine_from_a_checkout_takes_the_script(tmp_path):
    checkout, folder = tmp_path / 'ovirt-engine', tmp_path / 'made'
    shutil.copytree(os.path.join(KIT, 'src', 'packaging'), checkout / 'packaging')
    for path, _, names in os.walk(os.path.join(KIT, 'src', 'org')):
        for name in names:
            source = os.path.relpath(os.path.join(path, name), os.path.join(KIT, 'src'))
            [module] = [module for part, module in MODULES.items() if part in source] or ['modules/common']
            target = checkout / 'backend' / 'manager' / module / 'src' / 'main' / 'java' / source
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(os.path.join(path, name), target)
    make('make-engine', checkout, folder)
    (tmp_path / 'classes').mkdir()
    engine = Engine(compile_engine(folder, tmp_path / 'classes'), tmp_path)
    engine.define('both', '4.7')
    assert engine.accepts('nic', ['P', '{']) == [True, False]
