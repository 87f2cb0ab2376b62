# SPDX-License-Identifier: GPL-2.0-or-later
"""The README says what the code does, and names what is there."""

import re
from pathlib import Path

import pytest

from tests.hook import TREE, output
from tests.lab.real_vdsm import GREP
from tests.messages import matches, rows
from vmfex.hook_points import HOOK_POINTS


def read(name):
    return Path(TREE, name).read_text(encoding='utf-8')


CURES = dict(re.findall(r'(?m)^\| `(.*?)` \|.*\|(.*)\|$', read('docs/messages.md').split('\n## Lines')[0]))


# What administrators see, a line each, as the engine, libvirt, virsh and dnf show it.
@pytest.mark.parametrize('seen', read('tests/data/seen.txt').splitlines())
def test_what_an_administrator_sees_has_one_row_with_a_cure(seen):
    [cure] = [cure for row, cure in CURES.items() if matches(f'…{row}…', seen)]
    assert cure.strip()


def test_readme_has_errors_hook_points_and_the_grep_as_they_are():
    text = read('README.md')
    assert set(rows('Error', TREE + '/README.md')) <= set(CURES)
    section = re.search('## See that it works(.*?)virsh', text, re.DOTALL).group(1)
    assert set(re.findall('`(before_[a-z_]*)`', section)) == set(HOOK_POINTS)
    assert f"grep '{GREP}' /var/log/vdsm/vdsm.log" in text


@pytest.mark.parametrize('name', ['README.md', 'CONTRIBUTING.md', 'docs/messages.md', 'libvirtd/upstream.md'])
def test_files_that_a_document_names_are_there(name):
    named = re.findall(r'\]\(([^)#]*)\)|\b((?:tests|hooks|docs|libvirtd)/[\w/.-]*\w)', read(name))
    assert [path for path in map(''.join, named) if not Path(TREE, path).exists()] == []


def test_demo_shows_what_the_hook_does():
    text = output('make', '-s', 'demo', cwd=TREE)
    for part in 'profileid="Profile1"', 'direct-pool started', 'active: yes', "<interface dev='eth11'/>":
        assert part in text
