# SPDX-License-Identifier: GPL-2.0-or-later
"""define-vmfex defines the property on the engine, and its expressions agree with the hook."""

import os
import re
import shutil
import signal

import pytest

from tests.engine.engine import DISK, OPTIONS, SCRIPT, VIDEO, Engine, ask, define, interface
from tests.unit.property_cases import RIGHT, WRONG, A
from vmfex.custom_property import PORT_PROFILE, parse_dictionary
from vmfex.failure import Failure

DEFINITIONS = re.findall("^(VM|NIC)='vmfex=(.*)'$", SCRIPT.read_text(), re.MULTILINE)
EXPRESSIONS = {name.lower(): expression for name, expression in DEFINITIONS}
NOTHING = 'Nothing was changed.'
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


def restart(*options):
    return f'Restart the engine (systemctl restart ovirt-engine) for {", ".join(options)}'


@pytest.mark.parametrize('kind, before, after', STATES.values(), ids=list(STATES))
def test_script_defines_vmfex_once_and_keeps_all_else_and_removes_it(engine, kind, before, after):
    ours, option = f'vmfex={EXPRESSIONS[kind]}', f'{OPTIONS[kind]} of 4.7'
    removed = re.sub(';OURS|OURS;?', '', after)
    before, after = before.replace('OURS', ours), after.replace('OURS', ours)
    engine.write(kind, before)
    others = {**engine.read(), f'{OPTIONS[kind]}/4.7': after}
    assert engine.define(kind, '4.7') == ([f'{option}: {after}'], [restart(option)])
    assert engine.read() == others
    if engine.java:
        assert engine.ask(kind) == (EXPRESSIONS[kind], {})
    assert engine.define(kind, '4.7') == ([f'{option}: {after}', NOTHING], [])
    assert engine.define('--remove', kind, '4.7') == ([f'{option}: {removed}'], [restart(option)])


def test_remove_adds_no_type(engine):
    engine.write('nic', VIDEO)
    lines, [] = engine.define('--remove', 'nic', '4.7')
    assert lines == [f'CustomDeviceProperties of 4.7: {VIDEO}', NOTHING]


def test_several_versions(engine):
    lines, [hint] = engine.define('both', '4.7', '4.8')
    changed = [f'{option} of {version}' for version in ('4.7', '4.8') for option in OPTIONS.values()]
    assert [line.split(':')[0] for line in lines] == changed
    assert hint == restart(*changed)
    unset = {key for key, value in engine.read().items() if not value}
    assert unset == {f'{option}/4.6' for option in OPTIONS.values()}


def test_version_that_the_engine_lacks_changes_nothing_for_the_others_either(engine):
    before = engine.read()
    [], [line] = engine.define('both', '4.7', '4.9', status=1)
    assert line.startswith('define-vmfex: nothing was changed: ') and "version '4.9'" in line
    assert engine.read() == before


@pytest.mark.parametrize('kind, hints', [('nic', []), ('both', [restart('UserDefinedVMProperties of 4.7')])])
def test_value_that_the_engine_refuses_is_told_and_the_restart_for_what_was_set(engine, kind, hints):
    engine.write('nic', 'a b')
    [], [reason, *lines] = engine.define(kind, '4.7', status=1)
    assert 'Invalid syntax' in reason
    assert lines == ['define-vmfex: CustomDeviceProperties of 4.7 was not set', *hints]


def test_all_is_set_and_the_restart_told_though_nobody_reads_stdout(engine):
    reader, writer = os.pipe()
    os.close(reader)
    [], hints = engine.define('both', '4.7', stdout=writer, status=-signal.SIGPIPE)
    os.close(writer)
    assert hints == [restart(*(f'{option} of 4.7' for option in OPTIONS.values()))]
    assert all(engine.read()[f'{option}/4.7'] for option in OPTIONS.values())


def test_restart_is_told_for_what_was_being_set_when_a_signal_came(engine):
    with open(engine.script, 'a') as script:
        script.write('[ "$1" = -g ] || kill $PPID\n')
    assert engine.define('both', '4.7', status=-signal.SIGTERM) == ([], [restart(f'{OPTIONS["vm"]} of 4.7')])


@pytest.mark.parametrize('line', ['', 'vm', 'nics 4.7', '--remove nic', 'vm 4', 'vm 4.7 --remove'])
def test_wrong_usage_is_told_in_a_line(line):
    [], [text] = define(*line.split(), status=2)
    assert text.startswith('define-vmfex: ')


def test_help_and_a_machine_that_is_not_the_engines():
    assert define('--help')[0][0] == 'Usage: define-vmfex [--remove] vm|nic|both VERSION...'
    [], [line] = define('vm', '4.7', status=1)
    assert line == "define-vmfex: engine-config is missing: run this on the engine's machine"


@pytest.mark.parametrize('kind', EXPRESSIONS)
def test_expression_fits_engine_config_and_single_quotes_and_the_dialog(kind):
    expression = EXPRESSIONS[kind]
    assert expression.isascii() and not {';', "'"} & set(expression)
    assert len(expression) < 148
    assert not re.search(r'\(\?[a-z]', expression)  # inline flags, which JavaScript learned in 2024
    assert expression.startswith('^') and expression.endswith('$')  # JavaScript's test() is a search


# As in the administrator's browser. Prints what ask wants.
DIALOG = """
const expression = new RegExp(process.argv[1]);
console.log(process.argv[1]);
for (const line of require('fs').readFileSync(0, 'utf8').trimEnd().split('\\n'))
    console.log(expression.test(Buffer.from(line, 'base64').toString()));
"""


@pytest.fixture(scope='module', params=['engine', 'dialog'])
def accepts(request, tmp_path_factory):
    """Tells which values of a kind pass: on the engine, or in its dialog (JavaScript)."""
    if request.param == 'engine':
        engine = Engine(tmp_path_factory.mktemp('expressions'), request.getfixturevalue('java'))
        engine.define('both', '4.7')
        return lambda kind, values: engine.ask(kind, values)[1]
    dialog = [shutil.which('nodejs') or 'node', '-e', DIALOG]
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
