# SPDX-License-Identifier: GPL-2.0-or-later
"""What define-vmfex counts on in engine-config: the engine's own does this, and so does our small one."""

import subprocess

import pytest

from tests.engine.engine import DISK, OPTIONS, VIDEO, interface

VM, NIC = OPTIONS['vm'], OPTIONS['nic']
NO_NICS = interface('')

# id: arguments, exit status, how the output begins
CALLS = {
    'get': (f'-g {NIC} --cver=4.7', 0, f'{DISK}\n'),
    'get-nothing': (f'-g {VM} --cver=4.7', 0, '\n'),
    'get-at-4.9': (f'-g {VM} --cver=4.9', 1, f"Error fetching {VM} value: no such entry with version '4.9'"),
    'set-at-4.9': (f'-s {VM}=a=b --cver=4.9', 1, f"Error setting {VM}'s value. No such entry with version"),
    'set-nothing': (f'-s {VM} --cver=4.7', 1, 'Argument for set/merge action must be in format of key=value'),
    'version-first': (f'--cver=4.7 -g {VM}', 1, "Action verb must come first, and '--cver=4.7' is not an"),
}
TAKEN = ['', 'a=', 'a=^b=c$;d_E5=^{}}$;', DISK, f'{DISK}{NO_NICS}{VIDEO}', f'{DISK};{interface("a=^b$;")};']
REFUSED = ['a', 'a b', 'a-b=c', 'a=b;;c=d', ';a=b', '{type=nic;prop={}}', '{type=disk}', f'{DISK};;']
REFUSED += [f'{DISK};{DISK}', f'{NO_NICS};{DISK}', f'{VIDEO};{NO_NICS}']


def call(engine, *arguments):
    """Return the exit status and the output, all of which goes to stdout."""
    done = subprocess.run([engine.script, *arguments], capture_output=True, text=True, timeout=60)
    assert done.stderr == ''
    return done.returncode, done.stdout


@pytest.mark.parametrize('arguments, status, output', CALLS.values(), ids=list(CALLS))
def test_engine_config_answers_and_changes_nothing(engine, arguments, status, output):
    engine.write('nic', DISK)
    before = engine.read()
    answer = call(engine, *arguments.split())
    assert answer[0] == status
    assert answer[1].startswith(output) if status else answer[1] == output
    assert engine.read() == before


@pytest.mark.parametrize('value', TAKEN + REFUSED)
def test_engine_config_sets_what_is_right(engine, value):
    option = NIC if value.startswith('{') else VM
    before = engine.read()
    status, output = call(engine, '-s', f'{option}={value}', '--cver=4.7')
    if value in TAKEN:
        assert (status, output, engine.read()) == (0, '', {**before, f'{option}/4.7': value})
    else:
        assert output.startswith(f'Cannot set value {value} to key {option}. Invalid syntax')
        assert (status, engine.read()) == (1, before)
