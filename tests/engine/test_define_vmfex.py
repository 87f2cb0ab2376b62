# SPDX-License-Identifier: GPL-2.0-or-later
"""define-vmfex defines the property on the engine, and its expressions agree with the hook."""

import base64
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.hook import TESTS, TREE
from tests.unit.property_cases import RIGHT, WRONG, A
from vmfex.custom_property import PORT_PROFILE, parse_dictionary
from vmfex.failure import Failure

KIT = os.environ.get('ENGINE_KIT')
needs_engine = pytest.mark.skipif(not KIT, reason="the engine's source is not here: set ENGINE_KIT")
JARS = ['jackson-databind', 'jackson-core', 'jackson-annotations', 'slf4j-api', 'slf4j-nop', 'commons-lang']

SCRIPT = Path(TREE, 'engine', 'define-vmfex')
DEFINITIONS = re.findall("^(VM|NIC)='vmfex=(.*)'$", SCRIPT.read_text(), re.MULTILINE)
EXPRESSIONS = {name.lower(): expression for name, expression in DEFINITIONS}
OPTIONS = {'vm': 'UserDefinedVMProperties', 'nic': 'CustomDeviceProperties'}
RESTART = 'Restart the engine: systemctl restart ovirt-engine'
NOTHING = 'Nothing was changed.'


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
    """The command that runs the engine's own code, for Engine."""
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
        self.state.write_text(f'{OPTIONS[kind]}/4.7={value}\n')

    def run(self, *arguments, status=0):
        return run_script(*arguments, path=self._path, status=status)

    def ask(self, kind, values=(), version='4.7'):
        return ask([*self._kit, 'check', self.state, version, kind], values)


def run_script(*arguments, path='', status=0):
    """Return the lines that the script prints or, if it is to fail, those on stderr."""
    env = {**os.environ, 'PATH': f'{path}:/usr/bin:/bin'}
    command = ['/bin/bash', SCRIPT, *arguments]
    done = subprocess.run(command, env=env, input='', capture_output=True, text=True, timeout=60)
    assert done.returncode == status, done.stderr
    return (done.stderr if status else done.stdout).splitlines()


def ask(command, values):
    """Return the expression that a program has in force, and whether it accepts each value."""
    lines = [base64.b64encode(value.encode()).decode() + '\n' for value in values]
    done = subprocess.run(command, input=''.join(lines), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    expression, *answers = done.stdout.splitlines()
    return expression, dict(zip(values, (answer == 'true' for answer in answers)))


@pytest.fixture
def engine(kit, tmp_path):
    """An engine with the properties that it has by default."""
    return Engine(kit, tmp_path)


def interface(properties):
    return f'{{type=interface;prop={{{properties}}}}}'


DISK = r'{type=disk;prop={boot=^\d{1,2}$;vmfex=^x$}}'
VIDEO = r'{type=video;prop={no_disk=^\d{1}$;vmfex=^x{2}}};{type=rng;prop={}}'
OLD = 'vmfex=^[a-zA-Z0-9_ ---]+$'  # as the README of vdsm-hook-vmfex-dev has it
BRACES = r'vmfex=^[\w:.-]([\w:. -]{0,37}[\w:.-])?$'

# id: kind, before, and after the script, where OURS is its definition
STATES = {
    'vm-nothing': ('vm', '', 'OURS'),
    'vm-others': ('vm', r'vmfex2=^\w+ ;my_vmfex=^ b$;', r'vmfex2=^\w+ ;my_vmfex=^ b$;OURS'),
    'vm-old-between': ('vm', f'a=^b$;{OLD};c=^d$', 'a=^b$;OURS;c=^d$'),
    'vm-old-around-ours': ('vm', f'{OLD};OURS;a=^b$;{BRACES}', 'OURS;a=^b$'),
    'nic-nothing': ('nic', '', interface('OURS')),
    'nic-brace-at-the-end': ('nic', interface('a=^x{2}'), interface('a=^x{2};OURS')),
    'nic-old-with-two-braces': ('nic', interface('vmfex=^(a|b{2}}|c)$;d=^e$'), interface('OURS;d=^e$')),
    'nic-old-around-ours': ('nic', interface(f'{OLD};OURS;a=^b$;{BRACES}'), interface('OURS;a=^b$')),
    'between': ('nic', f'{DISK};{interface("")};{VIDEO};', f'{DISK};{interface("OURS")};{VIDEO};'),
    'no-semicolons': ('nic', f'{DISK}{interface(OLD)}{VIDEO}', f'{DISK};{interface("OURS")};{VIDEO}'),
    'missing-behind-disk': ('nic', f'{DISK};', f'{DISK};{interface("OURS")}'),
    'missing-before-video': ('nic', VIDEO, f'{interface("OURS")};{VIDEO}'),
    'missing-between': ('nic', f'{DISK};{VIDEO}', f'{DISK};{interface("OURS")};{VIDEO}'),
}


@needs_engine
@pytest.mark.parametrize('kind, before, after', STATES.values(), ids=STATES)
def test_script_defines_vmfex_once_and_keeps_all_else_and_removes_it(engine, kind, before, after):
    ours = f'vmfex={EXPRESSIONS[kind]}'
    removed = re.sub(';OURS|OURS;?', '', after)
    before, after = before.replace('OURS', ours), after.replace('OURS', ours)
    engine.write(kind, before)
    assert engine.run(kind, '4.7') == [f'{OPTIONS[kind]} of 4.7: {after}', RESTART]
    assert engine.ask(kind) == (EXPRESSIONS[kind], {})
    assert engine.run(kind, '4.7') == [f'{OPTIONS[kind]} of 4.7: {after}', NOTHING]
    assert engine.run('--remove', kind, '4.7') == [f'{OPTIONS[kind]} of 4.7: {removed}', RESTART]


@needs_engine
def test_remove_adds_no_type(engine):
    engine.write('nic', VIDEO)
    assert engine.run('--remove', 'nic', '4.7') == [f'CustomDeviceProperties of 4.7: {VIDEO}', NOTHING]


@needs_engine
def test_several_versions_keep_the_default_and_others_have_none(engine):
    [default, _] = engine.run('--remove', 'nic', '4.8')
    assert default.startswith('CustomDeviceProperties of 4.8: {type=interface;prop={SecurityGroups=')

    *values, end = engine.run('both', '4.7', '4.8')
    shown = [value.split(':')[0] for value in values]
    assert shown == [f'{option} of {v}' for v in ('4.7', '4.8') for option in OPTIONS.values()]
    assert values[-1] == default.replace('}}', f';vmfex={EXPRESSIONS["nic"]}}}}}')
    for version in '4.7', '4.8':
        assert engine.ask('vm', ['{}', 'P'], version)[1] == {'{}': True, 'P': False}
        assert engine.ask('nic', ['{}', 'P'], version)[1] == {'{}': False, 'P': True}
    assert engine.ask('vm', version='4.6')[0] == engine.ask('nic', version='4.6')[0] == 'null'


@needs_engine
def test_version_that_the_engine_lacks_changes_nothing_for_the_others_either(engine):
    [line] = engine.run('both', '4.7', '4.9', status=1)
    assert line.startswith('define-vmfex: nothing was changed: ') and "version '4.9'" in line
    assert engine.state.read_text() == ''


@needs_engine
def test_value_that_the_engine_refuses_is_told(engine):
    engine.write('vm', 'a b')
    *reason, line = engine.run('vm', '4.7', status=1)
    assert 'Invalid syntax' in reason[0]
    assert line == 'define-vmfex: UserDefinedVMProperties of 4.7 was not set'


@pytest.mark.parametrize('line', ['', 'vm', 'nics 4.7', '--remove nic', 'vm 4', 'vm 4.7 --remove'])
def test_wrong_usage_is_told_in_a_line(line):
    [text] = run_script(*line.split(), status=2)
    assert text.startswith('define-vmfex: ')


def test_help_and_a_machine_that_is_not_the_engines():
    assert run_script('--help')[0] == 'Usage: define-vmfex [--remove] vm|nic|both VERSION...'
    [line] = run_script('vm', '4.7', status=1)
    assert line == "define-vmfex: engine-config is missing: run this on the engine's machine"


@pytest.mark.parametrize('kind', EXPRESSIONS)
def test_expression_fits_engine_config_and_single_quotes_and_the_dialog(kind):
    expression = EXPRESSIONS[kind]
    assert expression.isascii() and not {';', "'"} & set(expression)
    assert len(expression) < 148
    assert not re.search(r'\(\?[a-z]', expression)  # inline flags, which JavaScript learned in 2024
    assert expression.startswith('^') and expression.endswith('$')  # JavaScript's test() is a search


@pytest.fixture(scope='module', params=[pytest.param('engine', marks=needs_engine), 'dialog'])
def accepts(request, tmp_path_factory):
    """Tells which values of a kind pass: on the engine, or in its dialog (JavaScript)."""
    if request.param == 'engine':
        engine = Engine(request.getfixturevalue('kit'), tmp_path_factory.mktemp('expressions'))
        engine.run('both', '4.7')
        return lambda kind, values: engine.ask(kind, values)[1]
    dialog = [shutil.which('nodejs') or 'node', os.path.join(TESTS, 'engine', 'matches.js')]
    return lambda kind, values: ask([*dialog, EXPRESSIONS[kind]], values)[1]


# ASCII and some of Latin 1, the blanks of Python, Java and JavaScript, and digits of theirs. The engine
# takes a semicolon for the end of a VM's value.
CHARACTERS = [chr(code) for code in range(0xA1) if chr(code) != ';']
CHARACTERS += list('\u1680\u180e\u2000\u2009\u200b\u2028\u2029\u202f\u205f\u3000\ufeff\u00e9\u0665\uff11')

TOKENS = ['{', "'", '0', '0', ':1a:4a:16:01:5', '1', "'", ':', "'", 'P', '1', "'", ',']
TOKENS += ['"', '00:1a:4a:16:01:52', '"', ':', '"', 'P2', '"', ',', '}']
PLACES = range(len(TOKENS) + 1)

DICTIONARIES = [value for value, _ in [*RIGHT.values(), *WRONG.values()]]
# Each character between two tokens, and instead of one.
DICTIONARIES += [
    ''.join([*tokens[:place], character, *tokens[behind:]])
    for tokens in (TOKENS, ['{', '}'], [])
    for place in range(len(tokens) + 1)
    for behind in (place, place + 1)
    for character in CHARACTERS
]
# Tokens that are missing or doubled.
DICTIONARIES += [''.join(TOKENS[:end] + TOKENS[start:]) for start in PLACES for end in PLACES]
DICTIONARIES += [''.join(TOKENS[start:end]) for end in PLACES for start in range(end)]
# Long ones take no time either.
MANY = 100000
BLANKS = MANY * ' '
DICTIONARIES += [
    ''.join([*TOKENS[:place], BLANKS, *TOKENS[place:], end]) for place in PLACES for end in ('', 'x')
]
DICTIONARIES += [BLANKS, f'{{{BLANKS}}}', f"{{'{MANY * '00:'}':'P'}}", f"{{'{A}':'{MANY * 'p '}p'}}"]
DICTIONARIES += ['{' + ''.join(f"'00:1a:4a:16:01:{i:02x}' : '{39 * 'p'}', " for i in range(60)) + '}']

NAMES = ['Profile1', 'P', '.', 'VM network  2', 'aZ09-_:.', 39 * 'p', '00:1a:4a:16:01:51', f'p{37 * " "}p']
NAMES += ['', ' ', '  ', ' P', 'P ', ' P ', 'P;Q', 40 * 'p', f'p{38 * " "}p', 39 * ' ', BLANKS, MANY * 'p']
NAMES += [text for character in CHARACTERS for text in (character, f'P{character}', f'P{character}Q')]


def hook_accepts(kind, value):
    """Return whether the hook accepts it, or None if only a MAC address given twice is wrong."""
    if kind == 'nic':
        return bool(PORT_PROFILE.fullmatch(value))
    try:
        parse_dictionary(value)
    except Failure as failure:
        return None if ' twice: ' in str(failure) else False
    return True


@pytest.mark.parametrize('kind, values', [('vm', DICTIONARIES), ('nic', NAMES)], ids=['vm', 'nic'])
def test_expression_agrees_with_the_hook_but_for_a_mac_address_given_twice(accepts, kind, values):
    expected = {value: hook_accepts(kind, value) for value in values}
    answers = accepts(kind, values)
    assert {True, False} <= set(expected.values())
    assert [value for value in values if expected[value] not in (None, answers[value])] == []
