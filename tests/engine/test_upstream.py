# SPDX-License-Identifier: GPL-2.0-or-later
"""make-engine takes from upstream's repository what the tests need."""

import shutil

from tests.engine.test_define_vmfex import KIT, compile_kit, needs_engine
from tests.hook import TESTS, output

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
