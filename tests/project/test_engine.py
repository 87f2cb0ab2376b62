# SPDX-License-Identifier: GPL-2.0-or-later
"""define-vmfex defines the property on the engine, and its expressions agree with the hook."""

import base64
import os
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.hook import TESTS, TREE
from tests.unit.property_cases import RIGHT, WRONG
from vmfex.custom_property import PORT_PROFILE, parse_dictionary
from vmfex.failure import Failure

KIT = os.environ.get('ENGINE_KIT')
needs_engine = pytest.mark.skipif(not KIT, reason="the engine's source is not here: set ENGINE_KIT")
JARS = ['jackson-databind', 'jackson-core', 'jackson-annotations', 'slf4j-api', 'slf4j-nop', 'commons-lang']

SCRIPT = os.path.join(TREE, 'engine', 'define-vmfex')
with open(SCRIPT) as script:
    EXPRESSIONS = {
        name.lower(): expression
        for name, expression in re.findall("^(VM|NIC)='vmfex=(.*)'$", script.read(), re.MULTILINE)
    }
OPTIONS = {'vm': 'UserDefinedVMProperties', 'nic': 'CustomDeviceProperties'}
RESTART = 'Restart the engine: systemctl restart ovirt-engine'


def compile_kit(source, classes):
    """Return the command that runs the engine's own code."""
    kit = os.path.join(TESTS, 'engine_kit')
    jars = [str(jar) for name in JARS for jar in Path('/usr/share/java').rglob(f'{name}.jar')]
    class_path = ':'.join([str(classes), f'{source}/src', *jars])
    command = ['javac', '-nowarn', '-encoding', 'UTF-8', '-d', classes, '-cp', class_path]
    command += ['-sourcepath', f'{kit}/stubs:{source}/src', f'{kit}/Kit.java']
    subprocess.run(command, check=True)
    return ['java', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-cp', class_path, 'Kit']


@pytest.fixture(scope='module')
def kit(tmp_path_factory):
    return compile_kit(KIT, tmp_path_factory.mktemp('engine'))


class Engine:
    """An engine's configuration, and engine-config in front of PATH that reads and writes it."""

    def __init__(self, kit, folder):
        self._kit, self._path = kit, folder
        self.state = folder / 'state'
        self.state.touch()
        engine_config = folder / 'engine-config'
        engine_config.write_text(f'#!/bin/sh\nexec {" ".join(kit)} config {self.state} "$@"\n')
        engine_config.chmod(0o755)

    def write(self, kind, value):
        value = value.replace('\\', r'\\')
        self.state.write_text(f'{OPTIONS[kind]}/4.7={value}\n')

    def run(self, *arguments):
        """Run the script. Returns the values that it shows."""
        before = self.state.read_text()
        *values, end = run_script(*arguments, path=self._path).splitlines()
        changed = self.state.read_text() != before
        assert end == (RESTART if changed else 'Nothing was changed.')
        return dict(line.split(': ', 1) for line in values)

    def define(self, *arguments):
        """Run the script, and again to see that this changes nothing. Returns the values that it shows."""
        values = self.run(*arguments)
        state = self.state.read_text()
        assert self.run(*arguments) == values
        assert self.state.read_text() == state
        return values

    def refuses(self, *arguments):
        """Run the script, which fails. Returns what it says."""
        state = self.state.read_text()
        text = run_script(*arguments, path=self._path, status=1)
        assert self.state.read_text() == state
        return text

    def check(self, kind, values=(), version='4.7'):
        """Return the expression in force for a vm or a nic, and whether the engine accepts each value."""
        answers, log = answers_to([*self._kit, 'check', str(self.state), version], values, f'{kind}\t')
        assert set(answers) <= {'ok', 'refused'}
        [expression] = re.findall(f'^{kind} vmfex=(.*)', log, re.MULTILINE)
        return expression, [answer == 'ok' for answer in answers]


def run_script(*arguments, path='', status=0):
    """Return what the script prints or, if it is to fail, its line on stderr."""
    env = {**os.environ, 'PATH': f'{path}:/usr/bin:/bin'}
    command = ['/bin/bash', SCRIPT, *arguments]
    done = subprocess.run(command, env=env, input='', capture_output=True, text=True, timeout=60)
    assert done.returncode == status, done.stderr
    return done.stderr if status else done.stdout


def answers_to(command, values, prefix=''):
    """Return a program's line for each value, and its stderr."""
    lines = [f'{prefix}{base64.b64encode(value.encode()).decode()}\n' for value in values]
    done = subprocess.run(
        command, check=True, input=''.join(lines), capture_output=True, text=True, timeout=60
    )
    answers = done.stdout.splitlines()
    assert len(answers) == len(values)
    return answers, done.stderr


@pytest.fixture
def engine(kit, tmp_path):
    return Engine(kit, tmp_path)


# The script.

SECURITY_GROUPS = 'SecurityGroups=^(?:[0-9a-f]{8}|)$'
OLD = 'vmfex=^[a-zA-Z0-9_ ---]+$'  # as the README of vdsm-hook-vmfex-dev has it
BRACES = r'vmfex=^[\w:.-]([\w:. -]{0,37}[\w:.-])?$'
OURS = {kind: f'vmfex={expression}' for kind, expression in EXPRESSIONS.items()}
DISK = '{type=disk;prop={boot=^[0-9]{1,2}$;vmfex=^x$}}'
VIDEO = '{type=video;prop={heads=^[0-9]{1}$;vmfex=^x{2}}};{type=rng;prop={}}'

# id: properties of VMs, and of NICs
PROPERTIES = {
    'none': '',
    'property': SECURITY_GROUPS,
    'property-that-ends-in-a-brace': 'a=^x{2}',
    'name-that-ends-in-vmfex': 'my_vmfex=^b$;xvmfex=^c$',
    'semicolon-at-the-end': f'{SECURITY_GROUPS};',
    'old-alone': OLD,
    'old-first': f'{OLD};{SECURITY_GROUPS}',
    'old-in-the-middle': f'{SECURITY_GROUPS};{OLD};a=^b$',
    'old-last': f'{SECURITY_GROUPS};{OLD}',
    'old-and-a-semicolon': f'{SECURITY_GROUPS};{OLD};',
    'old-with-braces-first': f'{BRACES};{SECURITY_GROUPS}',
    'old-with-braces-last': f'{SECURITY_GROUPS};{BRACES}',
    'old-that-ends-in-a-brace': f'{SECURITY_GROUPS};vmfex=x{{2}}',
    'old-with-two-braces': f'vmfex=^(a|b{{2}}}}|c)$;{SECURITY_GROUPS}',
    'old-three-times': f'{OLD};{SECURITY_GROUPS};{OLD};{BRACES}',
    'ours-first': f'OURS;{SECURITY_GROUPS}',
    'ours-in-the-middle': f'{SECURITY_GROUPS};OURS;a=^b$',
    'old-behind-ours': f'{SECURITY_GROUPS};OURS;{OLD}',
    'old-around-ours': f'{OLD};OURS;{SECURITY_GROUPS};{BRACES}',
}
# id: types of devices; INTERFACE is that of NICs
TYPES = {
    'disk-before': f'{DISK};INTERFACE',
    'video-behind': f'INTERFACE;{VIDEO}',
    'semicolon-behind': '{type=interface;prop={a=^b$}};',
    'between': f'{DISK};INTERFACE;{VIDEO};',
    'no-semicolon-between': f'{DISK}INTERFACE{VIDEO}',
    'missing': '',
    'missing-behind-disk': DISK,
    'missing-behind-disk-and-a-semicolon': f'{DISK};',
    'missing-before-video': VIDEO,
    'missing-between': f'{DISK};{VIDEO}',
}


def interface(properties):
    return f'{{type=interface;prop={{{properties}}}}}'


STATES = {}
for name, text in PROPERTIES.items():
    STATES[f'nic-{name}'] = 'nic', interface(text)
    if 'brace' not in name:  # they mean nothing to a VM's
        STATES[f'vm-{name}'] = 'vm', text
for name, text in TYPES.items():
    STATES[f'types-{name}'] = 'nic', text.replace('INTERFACE', interface(f'{SECURITY_GROUPS};{BRACES}'))


def parse(kind, value):
    """Return the properties of VMs or NICs that are vmfex, and all others, by type."""
    types = re.findall(r'\{type=(\w+);prop=\{(.*?)\}\};?(?=\{type=|$)', value)
    assert len(types) == len(dict(types)) == value.count('{type=')
    parsed = dict(types) if kind == 'nic' else {'interface': value}
    parsed = {name: [text for text in properties.split(';') if text] for name, properties in parsed.items()}
    own = parsed.setdefault('interface', [])
    parsed['interface'] = [text for text in own if not text.startswith('vmfex=')]
    return [text for text in own if text.startswith('vmfex=')], parsed


@needs_engine
@pytest.mark.parametrize('kind, before', STATES.values(), ids=STATES)
def test_script_defines_vmfex_once_and_keeps_all_else_and_removes_it(engine, kind, before):
    before = before.replace('OURS', OURS[kind])
    old, others = parse(kind, before)
    engine.write(kind, before)
    before = engine.state.read_text()

    [after] = engine.define(kind, '4.7').values()
    assert parse(kind, after) == ([OURS[kind]], others)
    assert engine.check(kind) == (EXPRESSIONS[kind], [])
    if old == [OURS[kind]]:
        assert engine.state.read_text() == before

    [after] = engine.run('--remove', kind, '4.7').values()
    assert parse(kind, after) == ([], others)


@needs_engine
@pytest.mark.parametrize('before', ['', VIDEO], ids=['empty', 'video'])
def test_remove_adds_no_type(engine, before):
    engine.write('nic', before)
    assert list(engine.define('--remove', 'nic', '4.7').values()) == [before]


@needs_engine
def test_several_versions_keep_the_default_and_others_have_none(engine):
    default = parse('nic', engine.define('--remove', 'nic', '4.8')['CustomDeviceProperties of 4.8'])
    assert default[0] == [] and list(default[1]) == ['interface'] and len(default[1]['interface']) == 1

    values = engine.define('both', '4.7', '4.8')
    assert list(values) == [f'{option} of {v}' for v in ('4.7', '4.8') for option in OPTIONS.values()]
    assert parse('nic', values['CustomDeviceProperties of 4.8']) == ([OURS['nic']], default[1])
    for version in '4.7', '4.8':
        assert engine.check('vm', ['{}', 'P'], version)[1] == [True, False]
        assert engine.check('nic', ['{}', 'P'], version)[1] == [False, True]
    assert engine.check('vm', version='4.6')[0] == engine.check('nic', version='4.6')[0] == 'null'


@needs_engine
def test_version_that_the_engine_lacks_changes_nothing_for_the_others_either(engine):
    text = engine.refuses('both', '4.7', '4.9')
    assert text.startswith('define-vmfex: nothing was changed: ') and "version '4.9'" in text
    assert text.count('\n') == 1


@needs_engine
def test_value_that_the_engine_refuses_is_told(engine):
    engine.write('vm', 'a b')
    text = engine.refuses('vm', '4.7')
    assert 'Invalid syntax' in text
    assert text.endswith('\ndefine-vmfex: UserDefinedVMProperties of 4.7 was not set\n')


WRONG_USAGE = ['', 'vm', 'nics 4.7', '--remove 4.7', '--remove nic', 'vm 4', 'vm 4.7 --remove']


@pytest.mark.parametrize('line', WRONG_USAGE)
def test_wrong_usage_is_told_in_a_line(line):
    text = run_script(*line.split(), status=2)
    assert text.startswith('define-vmfex: ') and text.count('\n') == 1


def test_help_and_a_machine_that_is_not_the_engines():
    assert run_script('--help').startswith('Usage: define-vmfex [--remove] vm|nic|both VERSION...\n')
    assert run_script('vm', '4.7', status=1) == (
        "define-vmfex: engine-config is missing: run this on the engine's machine\n"
    )


# The expressions.


@pytest.mark.parametrize('kind', EXPRESSIONS)
def test_expression_fits_engine_config_and_single_quotes_and_the_dialog(kind):
    expression = EXPRESSIONS[kind]
    assert expression.isascii()
    assert ';' not in expression and "'" not in expression
    assert len(expression) < 148
    assert not re.search(r'\(\?[a-z]', expression)  # inline flags, which JavaScript learned in 2024
    assert expression.startswith('^') and expression.endswith('$')  # JavaScript's test() is a search


def by_engine(request, folder):
    engine = Engine(request.getfixturevalue('kit'), folder)
    engine.define('both', '4.7')
    return lambda kind, values: engine.check(kind, values)[1]


def by_program(command):
    def accepts(kind, values):
        return [answer == 'true' for answer in answers_to([*command, EXPRESSIONS[kind]], values)[0]]

    return accepts


def by_java(_, folder):
    subprocess.run(['javac', '-d', folder, os.path.join(TESTS, 'project', 'Matches.java')], check=True)
    return by_program(['java', '-cp', folder, 'Matches'])


def by_javascript(*_):
    return by_program([shutil.which('nodejs') or 'node', os.path.join(TESTS, 'project', 'matches.js')])


@pytest.fixture(
    scope='module',
    params=[pytest.param(by_engine, marks=needs_engine), by_java, by_javascript],
    ids=['engine', 'java', 'javascript'],
)
def accepts(request, tmp_path_factory):
    """Tells which values pass: on the engine (or in plain Java), and in its dialog (JavaScript)."""
    return request.param(request, tmp_path_factory.mktemp('expressions'))


def differences(answers, expected):
    return [value for value, answer in zip(expected, answers) if answer != expected[value]]


def hook_accepts(value):
    """Return whether the hook accepts a VM's value, or None if only a MAC address given twice is wrong."""
    try:
        parse_dictionary(value)
    except Failure as failure:
        return None if ' twice: ' in str(failure) else False
    return True


# Blanks of Python, Java or JavaScript, and characters beside the ranges in the expressions.
CHARACTERS = [chr(code) for code in [*range(0x21), *range(0x7B, 0xA1)] if chr(code) != ';']
CHARACTERS += list('\u1680\u180e\u2000\u2009\u200b\u2028\u2029\u202f\u205f\u3000\ufeff\u00e9\u0665\uff11')

TOKENS = ['{', "'", '00', ':1a:4a:16:01:51', "'", ':', "'", 'P', '1', "'", ',', '"', '00:1a:4a:16:01:52']
TOKENS += ['"', ':', '"', 'P2', '"', ',', '}']

MACS = ['00:1a:4a:16:01:51', '00:1A:4a:16:01:52', 'ff:FF:ff:ff:ff:ff', '01:00:00:00:00:00']
MACS += ['0:1a:4A:16:1:51', '00:1a:4a:16:01', '00:1a:4a:16:01:051', '00:1a:4a:16:01:5g']
PROFILES = ['P', 'P 1', '.', '00:1a:4a:16:01:51', 39 * 'p', ' P', 'P ', 40 * 'p', '', 'a,b', '{']
SPACES = ['', '', '', '', ' ', '\n', '\t ', '\u00a0']


def random_value(random):
    """Return a dictionary with a mistake now and then."""

    def quoted(texts):
        quotes = random.choice(["''", "''", '""', '""', '"\''])
        return quotes[0] + random.choice(texts) + quotes[1]

    def spaced(text):
        return random.choice(SPACES) + text + random.choice(SPACES)

    pairs = [f'{spaced(quoted(MACS))}:{spaced(quoted(PROFILES))}' for _ in range(random.randint(0, 3))]
    return spaced('{' + spaced(','.join(pairs) + random.choice(['', '', ',', ',,'])) + '}')


MANY = 100000
BLANKS = MANY * ' '
PAIR = "'00:1a:4a:16:01:51':'P1'"
VALUES = {
    'tables': [value for value, _ in [*RIGHT.values(), *WRONG.values()]],
    'character-in-any-place': [
        ''.join([*tokens[:place], character, *tokens[place:]])
        for tokens in (TOKENS, ['{', '}'], [])
        for place in range(len(tokens) + 1)
        for character in CHARACTERS
    ],
    'missing-or-doubled': [
        ''.join(TOKENS[:end] + TOKENS[start:])
        for start in range(len(TOKENS) + 1)
        for end in range(len(TOKENS) + 1)
    ]
    + [''.join(TOKENS[start:end]) for end in range(len(TOKENS) + 1) for start in range(end)],
    'random': [random_value(random.Random(seed)) for seed in range(5000)],
    # These take no time either.
    'long': [BLANKS, f'{BLANKS}x', f'{{{BLANKS}}}', f'{{{BLANKS}', f"{{'00:1a:4a:16:01:51'{BLANKS}}}"]
    + [f"{{'00:1a:4a:16:01:51':{BLANKS}}}", f'{{{PAIR}{BLANKS}x}}', f'{{{PAIR},{BLANKS}x}}']
    + [f'{{{PAIR}}}{BLANKS}x', f'{{{PAIR}}}{BLANKS}\u0085', f"{{'{MANY * '00:'}':'P'}}"]
    + [f"{{'00:1a:4a:16:01:51':'{MANY * 'p '}p'}}"]
    + ['{' + ', '.join(f"'00:1a:4a:16:01:{i:02x}' : '{39 * 'p'}'" for i in range(60)) + '}']
    + ['{' + ''.join(f"'00:1a:4a:16:01:{i:02x}':'P '," for i in range(60)) + '}'],
}


@pytest.mark.parametrize('values', VALUES.values(), ids=VALUES)
def test_expression_agrees_with_the_hook_but_for_a_mac_address_given_twice(accepts, values):
    expected = {value: hook_accepts(value) for value in values}
    expected = {value: right for value, right in expected.items() if right is not None}
    assert {True, False} == set(expected.values())
    assert differences(accepts('vm', expected), expected) == []


NAMES = ['Profile1', 'P', '.', 'VM network  2', 'aZ09-_:.', 39 * 'p', '00:1a:4a:16:01:51', f'p{37 * " "}p']
NAMES += ['', ' ', '  ', ' P', 'P ', ' P ', 40 * 'p', f'p{38 * " "}p', 39 * ' ', BLANKS, MANY * 'p']
NAMES += ['a&b', "P'", '{}', '<x/>', "{'00:1a:4a:16:01:51':'P'}", 'P;Q', 'P/Q', 'P+', 'P\\x31']
NAMES += [f'P{character}' for character in CHARACTERS] + [f'P{character}Q' for character in CHARACTERS]


def test_expression_of_vnic_profiles_agrees_with_the_hook(accepts):
    expected = {name: bool(PORT_PROFILE.fullmatch(name)) for name in NAMES}
    assert sum(expected.values()) == 9 and expected['Profile1'] and not expected['P ']
    assert differences(accepts('nic', expected), expected) == []
