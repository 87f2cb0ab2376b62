# SPDX-License-Identifier: GPL-2.0-or-later
"""The README says what the code does."""

import ast
import base64
import os
import random
import re
import shutil
import subprocess

import pytest

from tests.hook import HOOK, TESTS, TREE
from tests.unit.property_cases import RIGHT, WRONG

with open(os.path.join(TREE, 'README.md'), encoding='utf-8') as readme:
    README = readme.read()
EXPRESSION = re.search("UserDefinedVMProperties=vmfex=(.*)'\n", README).group(1)


@pytest.fixture(scope='module')
def matches(tmp_path_factory):
    """Tells which values match the README's expression, by Java."""
    if not shutil.which('javac'):
        pytest.skip('no javac: the engine is Java')
    classes = str(tmp_path_factory.mktemp('java'))
    subprocess.run(['javac', '-d', classes, os.path.join(TESTS, 'project', 'Matches.java')],
                   check=True)

    def matches(values):
        encoded = [base64.b64encode(value.encode()).decode() for value in values]
        output = subprocess.run(['java', '-cp', classes, 'Matches', EXPRESSION], check=True, text=True,
                                input='\n'.join(encoded) + '\n', stdout=subprocess.PIPE).stdout
        answers = [line == 'true' for line in output.splitlines()]
        assert len(answers) == len(values)
        return answers
    return matches


def test_expression_can_stand_in_engine_config_and_in_single_quotes():
    assert ';' not in EXPRESSION and "'" not in EXPRESSION


@pytest.mark.parametrize('table, accepted', [(RIGHT, True), (WRONG, False)], ids=['right', 'wrong'])
def test_expression_agrees_with_the_tables(matches, table, accepted):
    answers = matches([value for value, _ in table.values()])
    assert [name for name, answer in zip(table, answers) if answer != accepted] == []


MACS = ['00:1a:4a:16:01:51', '0:1a:4A:16:1:51', '00:1a:4a:16:01:52', '2:0:0:0:0:0', '0:0:0:0:0:0',
        '02:00:00:00:00:00', '01:0:0:0:0:0', '00:1a:4a:16:01', '00:1a:4a:16:01:051']
PROFILES = ['P', 'P 1', '.', '00:1a:4a:16:01:51', 39 * 'p', ' P', 40 * 'p', '', 'a,b', '{']
SPACES = ['', '', '', '', ' ', '\n', '\t ', '\u00a0']


def random_value(random):
    """Return a dictionary with a mistake now and then."""
    def quoted(texts):
        quotes = random.choice(["''", "''", '""', '""', '"\''])
        return quotes[0] + random.choice(texts) + quotes[1]

    def spaced(text):
        return random.choice(SPACES) + text + random.choice(SPACES)

    entries = ['{}:{}'.format(spaced(quoted(MACS)), spaced(quoted(PROFILES)))
               for _ in range(random.randint(0, 3))]
    return spaced('{' + spaced(','.join(entries) + random.choice(['', '', ',', ',,'])) + '}')


def test_expression_agrees_with_the_hook_on_random_values(matches, vmfex):
    candidates = [random_value(random.Random(seed)) for seed in range(5000)]

    def accepted(value):
        try:
            vmfex.parse_property(value)
        except vmfex.Failure:
            return False
        return True

    expected = [accepted(value) for value in candidates]
    assert 300 < sum(expected) < 4700  # both kinds are there
    assert [value for value, answer, right in zip(candidates, matches(candidates), expected)
            if answer != right] == []


def messages_of_the_code():
    """Return what the hook says to an administrator, errors and log lines, with … for what varies."""
    with open(HOOK, encoding='utf-8') as f:
        tree = ast.parse(f.read())
    errors, log = set(), set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, 'attr', '')
        if name in ('Failure', 'fail', 'append'):
            texts = [child.value for child in ast.walk(node.args[0])
                     if isinstance(child, ast.Constant) and isinstance(child.value, str)
                     and re.search('[a-z]{2}.* ', child.value)]
            # The first one is the message, if the call has one at all: append also takes other things.
            if texts:
                text = texts[0].replace('{{', '{').replace('}}', '}')
                (log if name == 'append' else errors).add(re.sub(r'\{\}', '…', text))
    return errors, log


def rows(title):
    table = re.search(r'\| {} \|.*\n\|.*\n((?:\|.*\n)+)'.format(title), README).group(1)
    return [re.match(r'\| `(.*?)` \|', line).group(1) for line in table.splitlines()]


@pytest.mark.parametrize('kind, title', [(0, 'Error'), (1, r'Line in vdsm.log')],
                         ids=['errors', 'log'])
def test_message_table_has_each_message_of_the_code_and_no_other(kind, title):
    messages, table = messages_of_the_code()[kind], rows(title)
    assert len(messages) >= 7

    def begins(row, message):
        return message.startswith(row.rstrip('… ').rstrip(':'))

    assert [row for row in table if sum(begins(row, m) for m in messages) != 1] == []
    assert [m for m in messages if sum(begins(row, m) for row in table) != 1] == []
