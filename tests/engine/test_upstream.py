# SPDX-License-Identifier: GPL-2.0-or-later
"""make-engine and make-vdsm take from upstream's repositories what the tests need."""

import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.engine.test_define_vmfex import KIT, compile_kit, needs_engine
from tests.hook import TESTS, output
from tests.vdsm_runner import find_vdsm

VDSM = Path(find_vdsm() or '/').parent
TEMPLATES = sorted(VDSM.glob('lib/vdsm/common/*.py.in'))
# Of the engine's packages below org.ovirt.engine.core.
MODULES = {name: f'modules/{name}' for name in ('common', 'compat', 'utils')}
MODULES.update(config='tools', tools='tools')


def repository(folder, work_tree, *paths, tag):
    """Return a git repository with these files in a commit that has the tag."""
    identity = ['-c', 'user.name=n', '-c', 'user.email=e']
    git = ['git', f'--git-dir={folder}', f'--work-tree={work_tree}', *identity]
    output('git', 'init', '-q', '--bare', folder)
    output(*git, 'add', '-f', '--', *paths, cwd=work_tree)
    output(*git, 'commit', '-qm', 'all')
    output(*git, 'tag', tag)
    return folder


@needs_engine
def test_kit_runs_on_what_make_engine_takes_of_a_whole_engine(tmp_path):
    # The engine's own folders, and more than the tests need in its files.
    tree, made = tmp_path / 'tree', tmp_path / 'made'
    shutil.copytree(f'{KIT}/src/packaging', tree / 'packaging')
    for name, module in MODULES.items():
        core = f'src/main/java/org/ovirt/engine/core/{name}'
        shutil.copytree(f'{KIT}/src/org/ovirt/engine/core/{name}', tree / 'backend/manager' / module / core)
    with open(tree / 'packaging/etc/engine-config/engine-config.properties', 'a') as properties:
        properties.write('Other.description="Another"\nOther.type=String\n')
    with open(tree / 'packaging/dbscripts/upgrade/pre_upgrade/0000_config.sql', 'a') as sql:
        sql.write("select fn_db_update_config_value_for_versions_from_up_to('Other', 'x', '3.6', '4.0');\n")

    output(f'{TESTS}/make-engine', repository(tmp_path / 'git', tree, '.', tag='v1'), made, 'v1')
    get = [*compile_kit(made, made), 'config', '/dev/null', '-g']
    assert output(*get, 'UserDefinedVMProperties', '--cver=4.7') == '\n'
    assert output(*get, 'CustomDeviceProperties', '--cver=4.7').startswith('{type=interface;prop={')


@pytest.mark.skipif(not TEMPLATES, reason="VDSM's templates are not here: set VDSM_LIB to its lib folder")
def test_make_vdsm_fills_the_templates(tmp_path):
    filled = {path.with_suffix('').relative_to(VDSM): path.with_suffix('').read_text() for path in TEMPLATES}
    version = re.search('software_version = "(.*)"', ''.join(filled.values())).group(1)
    source = ['lib', 'vdsm_hooks', *(f':!{path}' for path in filled)]
    git = repository(tmp_path / 'git', VDSM, *source, tag=f'v{version}')
    output(f'{TESTS}/make-vdsm', git, tmp_path / 'made')
    for path, text in filled.items():
        made = (tmp_path / 'made' / path).read_text()
        assert not re.search(r'@\w+@', made)
        assert made == re.sub(r'@(\w+)_PATH@', lambda name: f'/usr/bin/{name.group(1).lower()}', text)
    modules = 'vdsm.common.constants, vdsm.common.config, vdsm.common.libvirtconnection, vdsm.hook.hooking'
    code = f'import {modules}; print(vdsm.common.libvirtconnection.libvirt_password())'
    assert output(sys.executable, '-c', code, cwd=tmp_path / 'made/lib') == 'none\n'
