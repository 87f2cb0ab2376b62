# SPDX-License-Identifier: GPL-2.0-or-later
"""The README says what the code does, and names what is there."""

import os
import re

import pytest

from tests.hook import TREE, output
from tests.lab.real_vdsm import GREP
from tests.messages import MESSAGES, matches, rows
from vmfex.hook_points import HOOK_POINTS

README = os.path.join(TREE, 'README.md')
with open(README, encoding='utf-8') as f:
    TEXT = f.read()


# What administrators see, a line each, as the engine, libvirt, virsh and dnf show it.
with open(os.path.join(TREE, 'tests', 'data', 'seen.txt'), encoding='utf-8') as f:
    SEEN = f.read().splitlines()
with open(MESSAGES, encoding='utf-8') as f:
    CURES = dict(re.findall(r'^\| `(.*?)` \|.*\|(.*)\|$', f.read().split('\n## Lines')[0], re.MULTILINE))


@pytest.mark.parametrize('seen', SEEN)
def test_what_an_administrator_sees_has_one_row_with_a_cure(seen):
    [cure] = [cure for row, cure in CURES.items() if matches(f'…{row}…', seen)]
    assert cure.strip()


@pytest.mark.parametrize('row', rows('Error', README))
def test_error_in_the_readme_is_one_of_the_messages(row):
    assert row in CURES


def test_grep_for_vdsm_log_is_the_one_that_is_tested():
    assert f"grep '{GREP}' /var/log/vdsm/vdsm.log" in TEXT


def test_hook_points_that_an_administrator_is_to_look_for_are_those_that_there_are():
    section = re.search('## See that it works(.*?)virsh', TEXT, re.DOTALL).group(1)
    assert set(re.findall('`(before_[a-z_]*)`', section)) == set(HOOK_POINTS)


@pytest.mark.parametrize('name', ['README.md', 'CONTRIBUTING.md', 'docs/messages.md', 'libvirtd/upstream.md'])
def test_files_that_a_document_names_are_there(name):
    with open(os.path.join(TREE, name), encoding='utf-8') as f:
        text = f.read()
    named = re.findall(r'\]\(([^)#]*)\)|\b((?:tests|hooks|docs|libvirtd)/[\w/.-]*\w)', text)
    assert [path for path in map(''.join, named) if not os.path.exists(os.path.join(TREE, path))] == []


def test_demo_shows_what_the_hook_does():
    text = output('make', '-s', 'demo', cwd=TREE)
    for part in 'profileid="Profile1"', 'direct-pool started', 'active: yes', "<interface dev='eth11'/>":
        assert part in text
