# SPDX-License-Identifier: GPL-2.0-or-later
"""make-vdsm takes from VDSM's repository what the tests need."""

import re
import sys
from pathlib import Path

import pytest

from tests.hook import TESTS, output
from tests.vdsm_runner import find_vdsm

VDSM = Path(find_vdsm() or '/').parent
TEMPLATES = sorted(VDSM.glob('lib/vdsm/common/*.py.in'))


def repository(folder, work_tree, *paths, tag):
    """Return a git repository with these files in a commit that has the tag."""
    identity = ['-c', 'user.name=n', '-c', 'user.email=e']
    git = ['git', f'--git-dir={folder}', f'--work-tree={work_tree}', *identity]
    output('git', 'init', '-q', '--bare', folder)
    output(*git, 'add', '-f', '--', *paths, cwd=work_tree)
    output(*git, 'commit', '-qm', 'all')
    output(*git, 'tag', tag)
    return folder


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
