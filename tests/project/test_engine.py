# SPDX-License-Identifier: GPL-2.0-or-later
"""engine/define-vmfex defines the property on the engine, and its expressions agree with the hook."""

import base64
import os
import random
import re
import shutil
import subprocess

import pytest

from tests.hook import TESTS, TREE
from tests.unit.property_cases import RIGHT, WRONG
from vmfex.custom_property import PORT_PROFILE, parse_dictionary
from vmfex.failure import Failure

KIT = os.environ.get('ENGINE_KIT')
needs_engine = pytest.mark.skipif(
    not KIT, reason="the engine's source is not here: see CONTRIBUTING.md on ENGINE_KIT"
)

SCRIPT = os.path.join(TREE, 'engine', 'define-vmfex')
with open(SCRIPT) as script:
    NIC_EXPRESSION, VM_EXPRESSION = re.findall("^[A-Z]+='vmfex=(.*)'$", script.read(), re.MULTILINE)
VERSION = '4.7'


@pytest.fixture(scope='module')
def kit(tmp_path_factory):
    """The command that runs the engine's own code."""
    return compile_engine(KIT, tmp_path_factory.mktemp('engine'))


def compile_engine(folder, classes):
    """Compile tests/engine, in front of the engine's sources in a folder, and what it needs of these."""
    ours, helpers = os.path.join(TESTS, 'engine'), 'src/org/ovirt/engine/core/config/entity/helper'
    sources = [f'{ours}/Kit.java']
    for name in (
        'DeviceCustomProperties',
        'UserDefinedVMProperties',
        'String',
    ):  # found by their names at run time
        sources.append(f'{folder}/{helpers}/{name}ValueHelper.java')
    javac = ['javac', '-nowarn', '-encoding', 'UTF-8', '-sourcepath', f'{ours}:{folder}/src', '-d', classes]
    subprocess.run([*javac, *sources], check=True, stderr=subprocess.DEVNULL)
    return ['java', '-cp', f'{classes}:{folder}/src', 'Kit']


class Engine:
    """An engine's configuration, and engine-config in front of PATH that reads and writes it."""

    def __init__(self, kit, folder):
        self._kit = kit
        self.state = folder / 'state'
        self._path = folder / 'bin'
        self._path.mkdir()
        script = self._path / 'engine-config'
        script.write_text(f'#!/bin/sh\nexec {" ".join(kit)} config {self.state} "$@"\n')
        script.chmod(0o755)

    def write(self, option, value):
        with open(self.state, 'a') as state:
            state.write('{}/{}={}\n'.format(option, VERSION, value.replace('\\', r'\\')))

    def read(self, option, version=VERSION):
        return self.run('engine-config', '-g', option, f'--cver={version}').rstrip('\n')

    def define(self, *arguments, status=0):
        return self.run(SCRIPT, *arguments, status=status)

    def run(self, *command, status=0):
        """Run a command. Returns the output."""
        done = subprocess.run(
            command,
            env={**os.environ, 'PATH': f'{self._path}:{os.environ["PATH"]}'},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        assert done.returncode == status, done.stdout
        return done.stdout

    def accepts(self, kind, values):
        """Return for each value whether the engine accepts it, of a vm or a nic."""
        command = [*self._kit, 'check', str(self.state), VERSION]
        answers = answers_to(command, values, f'{kind}\t')
        assert set(answers) <= {'ok', 'refused'}
        return [answer == 'ok' for answer in answers]


@pytest.fixture
def engine(kit, tmp_path):
    return Engine(kit, tmp_path)


def answers_to(command, values, prefix=''):
    lines = [f'{prefix}{base64.b64encode(value.encode()).decode()}\n' for value in values]
    done = subprocess.run(
        command, check=True, input=''.join(lines), stdout=subprocess.PIPE, text=True, timeout=60
    )
    answers = done.stdout.splitlines()
    assert len(answers) == len(values)
    return answers


SECURITY_GROUPS = 'SecurityGroups=^(?:[0-9a-f]{8}|)$'
OLD = 'vmfex=^[a-zA-Z0-9_ ---]+$'  # as the README of vdsm-hook-vmfex-dev has it
OLD_WITH_BRACES = r'vmfex=^[\w:.-]([\w:. -]{0,37}[\w:.-])?$'
VMFEX_OF_DISKS = '{type=disk;prop={boot=^[0-9]{1,2}$;vmfex=^x$}}'
VMFEX_OF_VIDEO = '{type=video;prop={heads=^[0-9]{1}$;vmfex=^x{2}}};{type=rng;prop={}}'


def interface(*properties):
    """Return the definition of a NIC's properties."""
    return f'{{type=interface;prop={{{";".join(properties)}}}}}'


NIC_STATES = {
    'no-properties': interface(),
    'property': interface(SECURITY_GROUPS),
    'property-that-ends-in-a-brace': interface('a=^x{2}'),
    'name-that-ends-in-vmfex': interface('my_vmfex=^b$', 'xvmfex=^c$'),
    'semicolon-at-the-end': interface(SECURITY_GROUPS, '') + ';',
    'old-vmfex-alone': interface(OLD),
    'old-vmfex-first': interface(OLD, SECURITY_GROUPS),
    'old-vmfex-in-the-middle': interface(SECURITY_GROUPS, OLD, 'a=^b$'),
    'old-vmfex-last': interface(SECURITY_GROUPS, OLD),
    'old-vmfex-and-a-semicolon': interface(SECURITY_GROUPS, OLD, ''),
    'old-vmfex-with-braces-first': interface(OLD_WITH_BRACES, SECURITY_GROUPS),
    'old-vmfex-with-braces-last': interface(SECURITY_GROUPS, OLD_WITH_BRACES),
    'old-vmfex-that-ends-in-a-brace': interface(SECURITY_GROUPS, 'vmfex=x{2}'),
    'old-vmfex-with-two-braces': interface('vmfex=^(a|b{2}}|c)$', SECURITY_GROUPS),
    'old-vmfex-three-times': interface(OLD, SECURITY_GROUPS, OLD, OLD_WITH_BRACES),
    'disks-before': f'{VMFEX_OF_DISKS};{interface(SECURITY_GROUPS)}',
    'video-after': f'{interface(SECURITY_GROUPS)};{VMFEX_OF_VIDEO}',
    'old-vmfex-between-disks-and-video': f'{VMFEX_OF_DISKS};{interface(OLD)};{VMFEX_OF_VIDEO};',
    'old-vmfex-last-between-disks-and-video': (
        f'{VMFEX_OF_DISKS};{interface(SECURITY_GROUPS, OLD_WITH_BRACES)};{VMFEX_OF_VIDEO}'
    ),
}


def parse_device_properties(value):
    """Return {device type: list of its properties}."""
    types = re.findall(r'\{type=(\w+);prop=\{(.*?)\}\};?(?=\{type=|$)', value)
    parsed = {name: [text for text in properties.split(';') if text] for name, properties in types}
    assert len(parsed) == len(types) == value.count('{type=')
    return parsed


def check_define_and_remove(engine, kind, read, before, after):
    """Define vmfex, again, and remove it. read parses the option, and gives it without vmfex if asked to."""
    out = engine.define(kind, VERSION)
    assert read() == after and out.endswith('Now restart the engine: systemctl restart ovirt-engine\n')
    state = engine.state.read_text()
    assert 'restart' not in engine.define(kind, VERSION) and engine.state.read_text() == state
    engine.define('--remove', kind, VERSION)
    assert read() == before
    state = engine.state.read_text()
    assert 'restart' not in engine.define('--remove', kind, VERSION) and engine.state.read_text() == state


@needs_engine
@pytest.mark.parametrize('state', NIC_STATES.values(), ids=NIC_STATES)
def test_vmfex_of_vnic_profiles_is_defined_once_and_all_else_stays(engine, state):
    engine.write('CustomDeviceProperties', state)
    before = parse_device_properties(state)
    before['interface'] = [text for text in before['interface'] if not text.startswith('vmfex=')]
    after = {**before, 'interface': [f'vmfex={NIC_EXPRESSION}', *before['interface']]}
    check_define_and_remove(
        engine, 'nic', lambda: parse_device_properties(engine.read('CustomDeviceProperties')), before, after
    )


@needs_engine
@pytest.mark.parametrize('state', ['', VMFEX_OF_DISKS, VMFEX_OF_VIDEO], ids=['empty', 'disks', 'video'])
def test_type_interface_is_added_for_vmfex_where_it_is_missing(engine, state):
    engine.write('CustomDeviceProperties', state)
    assert 'restart' not in engine.define('--remove', 'nic', VERSION)
    assert engine.read('CustomDeviceProperties') == state
    engine.define('nic', VERSION)
    after = parse_device_properties(engine.read('CustomDeviceProperties'))
    assert after == {**parse_device_properties(state), 'interface': [f'vmfex={NIC_EXPRESSION}']}


VM_STATES = {
    'none': '',
    'property': 'a=^[0-9]{1,2}$',
    'two-properties': 'a=^b$;my_vmfex=^c$',
    'semicolon-at-the-end': 'a=^b$;',
    'old-vmfex-alone': 'vmfex=^.*$',
    'old-vmfex-first': 'vmfex=^.*$;a=^b$',
    'old-vmfex-in-the-middle': 'a=^b$;vmfex=^.*$;c=^d$',
    'old-vmfex-last': 'a=^b$;vmfex=^.*$',
    'old-vmfex-behind-ours': f'vmfex={VM_EXPRESSION};a=^b$;vmfex=^.*$',
    'old-vmfex-three-times': r'vmfex=^\w{2}$;a=^b$;vmfex=^.*$;vmfex=x;c=^d$',
}


@needs_engine
@pytest.mark.parametrize('state', VM_STATES.values(), ids=VM_STATES)
def test_vmfex_of_vms_is_defined_once_and_all_else_stays(engine, state):
    engine.write('UserDefinedVMProperties', state)
    before = [text for text in state.split(';') if text and not text.startswith('vmfex=')]
    after = [f'vmfex={VM_EXPRESSION}', *before]
    check_define_and_remove(
        engine,
        'vm',
        lambda: [*filter(None, engine.read('UserDefinedVMProperties').split(';'))],
        before,
        after,
    )


@needs_engine
def test_several_versions_are_defined_for_both_and_shown_and_keep_the_default(engine):
    default = parse_device_properties(engine.read('CustomDeviceProperties'))
    assert list(default) == ['interface'] and len(default['interface']) == 1
    out = engine.define('both', '4.7', '4.8')
    for version in '4.7', '4.8':
        nic, vm = (
            engine.read(option, version) for option in ('CustomDeviceProperties', 'UserDefinedVMProperties')
        )
        assert parse_device_properties(nic)['interface'] == [f'vmfex={NIC_EXPRESSION}', *default['interface']]
        assert f'CustomDeviceProperties {version}: {nic}\nUserDefinedVMProperties {version}: {vm}\n' in out
    assert 'vmfex' not in engine.read('CustomDeviceProperties', '4.6')
    assert engine.accepts('vm', ['{}', 'P', "{'00:1a:4a:16:01:51':'P1'}"]) == [True, False, True]
    assert engine.accepts('nic', ['{}', 'P']) == [False, True]


@needs_engine
@pytest.mark.parametrize(
    'arguments, says',
    [
        (
            ['both', '4.7', '4.1'],
            'nothing was changed: Error fetching CustomDeviceProperties value: no such entry',
        ),
        ([], 'usage: define-vmfex [--remove] nic|vm|both VERSION...'),
        (['vms', '4.7'], 'usage: '),
        (['--remove'], 'usage: '),
        (['both'], 'compatibility versions are missing, for example: '),
    ],
)
def test_mistake_is_one_line_and_changes_nothing(engine, arguments, says):
    out = engine.define(*arguments, status=2)
    assert out.startswith(f'define-vmfex: {says}') and out.count('\n') == 1
    assert not engine.state.exists() or engine.state.read_text() == ''


def test_machine_without_an_engine_is_told():
    done = subprocess.run(
        [SCRIPT, 'both', '4.7'],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={'PATH': '/bin'},
    )
    assert (done.returncode, done.stdout.count('\n')) == (2, 1)
    assert done.stdout.startswith('define-vmfex: engine-config is missing: run this as root on the engine')


# The expressions.


@pytest.mark.parametrize('expression', [VM_EXPRESSION, NIC_EXPRESSION], ids=['vm', 'nic'])
def test_expression_fits_engine_config_and_single_quotes_and_the_dialog(expression):
    assert expression.isascii()
    assert ';' not in expression and "'" not in expression
    assert len(expression) < 148
    assert not re.search(r'\(\?[a-z]', expression)  # inline flags, which JavaScript learned in 2024
    assert expression.startswith('^') and expression.endswith('$')  # JavaScript's test() is a search


def by_engine(request, folder):
    engine = Engine(request.getfixturevalue('kit'), folder)
    engine.define('both', VERSION)
    return engine.accepts


def by_program(command):
    def accepts(kind, values):
        expression = {'vm': VM_EXPRESSION, 'nic': NIC_EXPRESSION}[kind]
        return [answer == 'true' for answer in answers_to([*command, expression], values)]

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


def hook_accepts(value):
    """Return whether the hook accepts a VM's value, or None if only a MAC address given twice is wrong."""
    try:
        parse_dictionary(value)
    except Failure as failure:
        return None if ' twice: ' in str(failure) else False
    return True


def assert_expression_agrees_with_the_hook(accepts, values):
    expected = {value: hook_accepts(value) for value in values}
    expected = {value: right for value, right in expected.items() if right is not None}
    assert {True, False} == set(expected.values())
    answers = accepts('vm', expected)
    assert [value for value, answer in zip(expected, answers) if answer != expected[value]] == []


@pytest.mark.parametrize('table, right', [(RIGHT, True), (WRONG, False)], ids=['right', 'wrong'])
def test_expression_agrees_with_the_tables_but_for_a_mac_address_given_twice(accepts, table, right):
    answers = accepts('vm', [value for value, _ in table.values()])
    differ = {name for name, answer in zip(table, answers) if answer != right}
    assert differ == {name for name in table if name.startswith('twice')}


# Blanks of Python, Java or JavaScript, and characters beside the ranges in the expressions.
CHARACTERS = [chr(code) for code in [*range(0x21), *range(0x7B, 0xA1)] if chr(code) != ';']
CHARACTERS += list('\u1680\u180e\u2000\u2009\u200b\u2028\u2029\u202f\u205f\u3000\ufeff\u00e9\u0665\uff11')

TOKENS = ['{', "'", '00', ':1a:4a:16:01:51', "'", ':', "'", 'P', '1', "'", ',', '"', '00:1a:4a:16:01:52']
TOKENS += ['"', ':', '"', 'P2', '"', ',', '}']


def test_expression_agrees_with_the_hook_on_a_character_in_any_place(accepts):
    values = [
        ''.join([*tokens[:place], character, *tokens[place:]])
        for tokens in (TOKENS, ['{', '}'], [])
        for place in range(len(tokens) + 1)
        for character in CHARACTERS
    ]
    assert_expression_agrees_with_the_hook(accepts, values)


def test_expression_agrees_with_the_hook_on_what_is_missing_or_doubled(accepts):
    values = [
        ''.join(TOKENS[:start] + TOKENS[end:])
        for start in range(len(TOKENS))
        for end in range(start + 1, len(TOKENS) + 1)
    ]
    values += [
        ''.join(TOKENS[:end] + TOKENS[start:])
        for start in range(len(TOKENS))
        for end in range(start, len(TOKENS) + 1)
    ]
    assert_expression_agrees_with_the_hook(accepts, values)


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


def test_expression_agrees_with_the_hook_on_random_values(accepts):
    values = [random_value(random.Random(seed)) for seed in range(5000)]
    assert 100 < sum(hook_accepts(value) is True for value in values) < 4900
    assert_expression_agrees_with_the_hook(accepts, values)


MANY = 100000
PAIR = "'00:1a:4a:16:01:51':'P1'"
LONG = {
    'blanks': MANY * ' ',
    'blanks-and-a-letter': f'{MANY * " "}x',
    'blanks-in-braces': f'{{{MANY * " "}}}',
    'blanks-not-closed': f'{{{MANY * " "}',
    'blanks-before-the-colon': f"{{'00:1a:4a:16:01:51'{MANY * ' '}}}",
    'blanks-behind-the-colon': f"{{'00:1a:4a:16:01:51':{MANY * ' '}}}",
    'blanks-behind-a-pair': f'{{{PAIR}{MANY * " "}x}}',
    'blanks-behind-a-comma': f'{{{PAIR},{MANY * " "}x}}',
    'blanks-at-the-end': f'{{{PAIR}}}{MANY * " "}x',
    'blanks-at-the-end-and-a-foreign-line-break': f'{{{PAIR}}}{MANY * " "}\u0085',
    'octets': f"{{'{MANY * '00:'}':'P'}}",
    'port-profile': f"{{'00:1a:4a:16:01:51':'{MANY * 'p '}p'}}",
    'sixty-nics': '{' + ', '.join(f"'00:1a:4a:16:01:{i:02x}' : '{39 * 'p'}'" for i in range(60)) + '}',
    'sixty-nics-and-a-mistake': '{' + ''.join(f"'00:1a:4a:16:01:{i:02x}':'P '," for i in range(60)) + '}',
}


def test_expression_agrees_with_the_hook_on_long_values_and_takes_no_time(accepts):
    assert_expression_agrees_with_the_hook(accepts, LONG.values())


# Names of port profiles, right and wrong.
RIGHT_NAMES = ['Profile1', 'P', '.', 'VM network  2', 'aZ09-_:.', 39 * 'p', '00:1a:4a:16:01:51']
RIGHT_NAMES += [f'p{37 * " "}p']
WRONG_NAMES = ['', ' ', '  ', ' P', 'P ', ' P ', 40 * 'p', f'p{38 * " "}p', 39 * ' ', MANY * ' ', MANY * 'p']
WRONG_NAMES += ['a&b', "P'", '{}', '<x/>', "{'00:1a:4a:16:01:51':'P'}", 'P;Q', 'P/Q', 'P+', 'P\\x31']
WRONG_NAMES += [f'P{character}' for character in CHARACTERS]
WRONG_NAMES += [f'P{character}Q' for character in CHARACTERS if character != ' ']


def test_expression_of_vnic_profiles_agrees_with_the_hook(accepts):
    assert [name for name in RIGHT_NAMES if not PORT_PROFILE.fullmatch(name)] == []
    assert [name for name in WRONG_NAMES if PORT_PROFILE.fullmatch(name)] == []
    names = RIGHT_NAMES + WRONG_NAMES
    answers = dict(zip(names, accepts('nic', names)))
    assert [name for name in names if answers[name] != (name in RIGHT_NAMES)] == []
