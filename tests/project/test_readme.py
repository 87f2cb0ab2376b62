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
from tests.lab.real_vdsm import GREP
from tests.unit.property_cases import RIGHT, WRONG

with open(os.path.join(TREE, 'README.md'), encoding='utf-8') as readme:
    README = readme.read()
# The VM's and the NIC's, as they stand between shell quotes in the README.
EXPRESSION = re.search("UserDefinedVMProperties=vmfex=(.*?)'", README).group(1)
NIC_EXPRESSION = re.search(";vmfex=(.*)}}'", README).group(1)

# What the hook refuses and the VM's expression lets pass: no short one can tell.
TWICE = {name for name in WRONG if name.startswith('twice')}

# Names of port profiles, right and wrong.
RIGHT_NAMES = ['Profile1', 'P', '.', 'VM network  2', 'aZ09-_:.', 39 * 'p', '00:1a:4a:16:01:51']
WRONG_NAMES = [' P', 'P ', ' ', 40 * 'p', 'a&b', 'P\n', '\nP', 'P\t1', 'caf\u00e9', 'P\u00a01', "P'",
               '{}', '<x/>', "{'00:1a:4a:16:01:51':'P'}", '\u0665', 'P;Q', 'P/Q', 'P+']


def by_java(tmp_path_factory):
    classes = str(tmp_path_factory.mktemp('java'))
    subprocess.run(['javac', '-d', classes, os.path.join(TESTS, 'project', 'Matches.java')],
                   check=True)
    return ['java', '-cp', classes, 'Matches']


def by_javascript(_):
    return [shutil.which('nodejs') or 'node', os.path.join(TESTS, 'project', 'matches.js')]


@pytest.fixture(scope='module', params=[by_java, by_javascript], ids=['java', 'javascript'])
def matches(request, tmp_path_factory):
    """Tells which values match an expression: on the engine (Java), in its dialog (JavaScript)."""
    command = request.param(tmp_path_factory)

    def matches(expression, values):
        encoded = [base64.b64encode(value.encode()).decode() for value in values]
        output = subprocess.run([*command, expression], check=True, text=True,
                                input='\n'.join(encoded) + '\n', stdout=subprocess.PIPE).stdout
        answers = [line == 'true' for line in output.splitlines()]
        assert len(answers) == len(values)
        return answers
    return matches


@pytest.mark.parametrize('expression', [EXPRESSION, NIC_EXPRESSION], ids=['vm', 'nic'])
def test_expression_can_stand_in_engine_config_in_single_quotes_and_in_the_dialog(expression):
    assert ';' not in expression and "'" not in expression
    assert len(expression) <= 200
    assert '(?i' not in expression and expression.isascii()


@pytest.mark.parametrize('table, accepted', [(RIGHT, True), (WRONG, False)], ids=['right', 'wrong'])
def test_expression_agrees_with_the_tables(matches, table, accepted):
    answers = matches(EXPRESSION, [value for value, _ in table.values()])
    assert {name for name, answer in zip(table, answers) if answer != accepted} == (
        set() if accepted else TWICE)


def test_expression_of_the_nic_agrees_with_the_hook(matches, vmfex):
    for name in RIGHT_NAMES:
        assert vmfex.is_profile(name)
    for name in WRONG_NAMES:
        assert not vmfex.is_profile(name)
    assert matches(NIC_EXPRESSION, RIGHT_NAMES + WRONG_NAMES) == (
        len(RIGHT_NAMES) * [True] + len(WRONG_NAMES) * [False])


def test_engines_other_property_of_nics_is_kept():
    value = re.search("CustomDeviceProperties={type=interface;prop={(.*)}}'", README).group(1)
    names = [prop.split('=')[0] for prop in value.split(';')]
    assert names == ['SecurityGroups', 'vmfex']


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
        except vmfex.Failure as e:
            return None if ' twice: ' in str(e) else False
        return True

    expected = {value: accepted(value) for value in candidates}
    expected = {value: right for value, right in expected.items() if right is not None}
    assert 100 < sum(expected.values()) < len(expected) - 100  # both kinds are there
    answers = matches(EXPRESSION, list(expected))
    assert [value for value, answer in zip(expected, answers) if answer != expected[value]] == []


def messages_of_the_code():
    """Return what the hook says to an administrator, errors and log lines, with … for what varies."""
    with open(HOOK, encoding='utf-8') as f:
        tree = ast.parse(f.read())

    def texts(node):
        return [child.value for child in ast.walk(node)
                if isinstance(child, ast.Constant) and isinstance(child.value, str)]

    errors, log = set(), set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, 'attr', '')
        if name in ('Failure', 'fail') and node.args:
            errors.update(texts(node.args[0])[:1])  # the text, in front of what is put into it
        elif name == 'append' and isinstance(node.args[0], ast.Tuple):  # a step of the plan
            log.add('direct-pool ' + texts(node.args[0])[1])
    everything = texts(tree)
    log.update(text for text in everything if re.match(r'(NIC \{\}|no NIC) ', text))
    log.update(text for text in everything if text.startswith("direct-pool can't be {}"))
    log -= errors
    return [{re.sub(r'\{\}', '…', text.replace('{{', '{').replace('}}', '}')) for text in found}
            for found in (errors, log)]


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


def test_grep_for_vdsm_log_is_the_one_that_is_tested():
    assert "grep '{}' /var/log/vdsm/vdsm.log".format(GREP) in README
