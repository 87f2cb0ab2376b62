# SPDX-License-Identifier: GPL-2.0-or-later
"""What define-vmfex counts on in engine-config: the engine's own does this, and so does our small one."""

import subprocess

import pytest

from tests.engine.engine import DISK, OPTIONS, VIDEO, interface

VM, NIC = OPTIONS['vm'], OPTIONS['nic']
NO_NICS = interface('')

TAKEN = ['', 'a=', 'a=^b=c$;d_E5=^{}}$;', DISK, f'{DISK}{NO_NICS}{VIDEO}', f'{DISK};{interface("a=^b$;")};']
REFUSED = ['a', 'a b', 'a-b=c', 'a=b;;c=d', ';a=b', '{type=nic;prop={}}', '{type=disk}', f'{DISK};;']
REFUSED += [f'{DISK};{DISK}', f'{NO_NICS};{DISK}', f'{VIDEO};{NO_NICS}']
# (arguments, exit status, the output or how it begins)
CALLS = [
    (('-g', NIC, '--cver=4.7'), 0, f'{DISK}\n'),
    (('-g', VM, '--cver=4.7'), 0, '\n'),
    (('-g', VM, '--cver=4.9'), 1, f"Error fetching {VM} value: no such entry with version '4.9'"),
    (('-s', f'{VM}=a=b', '--cver=4.9'), 1, f"Error setting {VM}'s value. No such entry with version"),
    (('-s', VM, '--cver=4.7'), 1, 'Argument for set/merge action must be in format of key=value'),
    (('--cver=4.7', '-g', VM), 1, "Action verb must come first, and '--cver=4.7' is not an"),
]
for value in TAKEN + REFUSED:
    option = NIC if value.startswith('{') else VM
    error = '' if value in TAKEN else f'Cannot set value {value} to key {option}. Invalid syntax'
    CALLS.append((('-s', f'{option}={value}', '--cver=4.7'), int(value in REFUSED), error))


@pytest.mark.parametrize('arguments, status, output', CALLS)
def test_engine_config_does_what_is_right_and_tells_what_is_not(engine, arguments, status, output):
    engine.write('nic', DISK)
    after = engine.read()
    if arguments[0] == '-s' and not status:
        option, value = arguments[1].split('=', 1)
        after[f'{option}/4.7'] = value
    done = subprocess.run([engine.script, *arguments], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr, engine.read()) == (status, '', after)
    assert done.stdout.startswith(output) if status else done.stdout == output
