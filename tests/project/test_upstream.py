# SPDX-License-Identifier: GPL-2.0-or-later
"""make-engine and make-vdsm take from upstream's repositories what the tests need."""

import glob
import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.hook import TESTS
from tests.project.test_engine import KIT, compile_kit, needs_engine
from tests.vdsm_runner import find_vdsm

VDSM = os.path.dirname(find_vdsm() or '/')
TEMPLATES = glob.glob(f'{VDSM}/lib/vdsm/common/*.py.in')


def output(*command, **kwargs):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **kwargs).stdout


def read(folder, name):
    with open(os.path.join(folder, name), encoding='utf-8') as f:
        return f.read()


def repository(folder, work_tree, *paths, tag='HEAD'):
    """Return a git repository with these files in a commit that has the tag."""
    git = [
        'git',
        f'--git-dir={folder}',
        f'--work-tree={work_tree}',
        '-c',
        'user.name=n',
        '-c',
        'user.email=e',
    ]
    output('git', 'init', '-q', '--bare', folder)
    output(*git, 'add', '-f', '--', *paths, cwd=work_tree)
    output(*git, 'commit', '-qm', 'all', cwd=work_tree)
    output(*git, 'tag', tag, cwd=work_tree)
    return folder


@needs_engine
def test_kit_runs_on_what_make_engine_takes_of_a_whole_engine(tmp_path):
    # The engine's own folders, and more than the tests need in its files.
    tree, made = tmp_path / 'tree', tmp_path / 'made'
    for path in glob.glob(f'{KIT}/src/**/*.*', recursive=True):
        path = os.path.relpath(path, f'{KIT}/src')
        where = re.match('org/ovirt/engine/core/(common|compat|utils|config|tools)/', path)
        if where:
            module = where.group(1)
            module = 'tools' if module in ('config', 'tools') else f'modules/{module}'
        target = tree / (f'backend/manager/{module}/src/main/java/{path}' if where else path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(f'{KIT}/src/{path}', target)
    with open(tree / 'packaging/etc/engine-config/engine-config.properties', 'a') as properties:
        properties.write('Other.description="Another"\nOther.type=String\n')
    with open(tree / 'packaging/dbscripts/upgrade/pre_upgrade/0000_config.sql', 'a') as sql:
        sql.write("select fn_db_update_config_value_for_versions_from_up_to('Other', 'x', '3.6', '4.0');\n")
    (tree / 'backend/manager/tools/src/main/java/Unneeded.java').write_text('')

    output(f'{TESTS}/make-engine', repository(tmp_path / 'git', tree, '.', tag='v1'), made, 'v1')
    (tmp_path / 'classes').mkdir()
    get = [*compile_kit(made, tmp_path / 'classes'), 'config', tmp_path / 'state', '-g']
    assert output(*get, 'UserDefinedVMProperties', '--cver=4.7') == '\n'
    assert output(*get, 'CustomDeviceProperties', '--cver=4.7').startswith('{type=interface;prop={')
    assert not glob.glob(f'{made}/**/Unneeded.java', recursive=True)


@pytest.mark.skipif(not TEMPLATES, reason="VDSM's templates are not here: set VDSM_LIB to its lib folder")
def test_make_vdsm_fills_the_templates(tmp_path):
    names = [os.path.relpath(name[: -len('.in')], VDSM) for name in TEMPLATES]
    filled = [read(VDSM, name) for name in names]
    version = re.search('software_version = "(.*)"', ''.join(filled)).group(1)
    git = repository(
        tmp_path / 'git', VDSM, 'lib', 'vdsm_hooks', *map(':!{}'.format, names), tag=f'v{version}'
    )
    output(f'{TESTS}/make-vdsm', git, tmp_path / 'made')
    for name, text in zip(names, filled):
        made = read(tmp_path / 'made', name)
        assert not re.search(r'@\w+@', made)
        text = re.sub(r'@(\w+)_PATH@', lambda path: '/usr/bin/' + path.group(1).lower(), text)
        assert made == text
    modules = 'vdsm.common.constants, vdsm.common.config, vdsm.common.libvirtconnection, vdsm.hook.hooking'
    code = f'import {modules}; print(vdsm.common.libvirtconnection.libvirt_password())'
    assert output(sys.executable, '-c', code, cwd=tmp_path / 'made/lib') == 'none\n'
