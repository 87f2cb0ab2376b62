# SPDX-License-Identifier: GPL-2.0-or-later
"""What the library for libvirtd makes of requests for IFF_PROMISC and IFF_UP, and of other ioctl commands."""

import errno
import os
import subprocess

import pytest

from tests.hook import output
from tests.lab.fabric import compile_port_profile

GONE, SPOILT, OTHER = (f'({os.strerror(error)})' for error in (errno.ENODEV, errno.EOVERFLOW, errno.E2BIG))
# Steps (see flags.c), and what the kernel is asked for and the NIC's promiscuity after them. While a macvtap
# is up, that is 1, and 2 if the macvtap has IFF_PROMISC.
CASES = {
    # VMs start on a NIC, their drivers load, they stop; a promiscuous one, and one that is paused.
    '+P +U -P gone': 'P 0 UP U 0',
    '+P +U -P new +P +U -P new +P +U -P gone': 'P 0 UP U P 0 UP U P 0 UP U 0',
    '+P +U': 'P 0 UP 2',
    '+P +U -P -U +U': 'P 0 UP U 0 U 1',
    '+U +P -P': 'U UP U 1',
    # What is asked for while it is down replaces what was before; what is asked for with IFF_UP counts.
    '+P -P +U': 'P 0 U 1',
    '+P -P +P +U': 'P 0 P 0 UP 2',
    'P P 0 P UP': 'P P 0 P 0 UP 2',
    'P U UP': 'P 0 U UP 2',
    '+P -U +U': 'P 0 UP 2',
    'UP': 'UP 2',
    # IFF_PROMISC of one that is up.
    '+U +P UP U': 'U UP UP U 1',
    # Once too often after it was down with it, never too rarely.
    '+U +P -U +U -P': 'U UP P 0 UP U 2',
    '+U +P -U -P +U +P -P gone': 'U UP P 0 U UP U 1',
    # Another macvtap of that name does not inherit it.
    '+P new +U': 'P U 1',
    '+P gone +U UP new +U': f'P {GONE} UP {GONE} U 1',
    'spoilt +P +U +U': f'P 0 UP {SPOILT} 0 UP {SPOILT} -1',
}
OTHER_COMMANDS = ['5421,2a', '8912,0', 'c0105500,7ffffffffffffff0', '400454ca,ffffffff', '0,0', '8915,1']


@pytest.fixture(scope='module', params=['address,undefined', 'thread'])
def flags(request, tmp_path_factory):
    """Runs flags.c, and the library and kernel.c below it, all with a sanitizer. Returns its output."""
    folder = str(tmp_path_factory.mktemp('flags'))
    options = f'-Wall -Wextra -Werror -O1 -g -fsanitize={request.param} -fno-sanitize-recover=all'
    library, kernel, program = compile_port_profile(folder, options), folder + '/kernel.so', folder + '/flags'
    here = os.path.dirname(__file__)
    shared = ['-fPIC', '-shared', '-o', kernel, here + '/kernel.c']
    linked = ['-o', program, here + '/flags.c', '-Wl,--no-as-needed', library, kernel, '-lpthread']
    for command in shared, linked:
        subprocess.run(['gcc', *options.split(), *command], check=True)
    return lambda *steps: output(program, *steps).strip()


@pytest.mark.parametrize('steps', CASES)
def test_kernel_is_asked_for(flags, steps):
    assert flags(*steps.split()) == CASES[steps]


@pytest.mark.parametrize('step', OTHER_COMMANDS)
def test_other_commands_are_left_alone(flags, step):
    assert flags(step) == f'{step} {step} {OTHER} 0'
