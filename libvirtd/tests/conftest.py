# SPDX-License-Identifier: GPL-2.0-or-later

import os
import subprocess

import pytest

from tests.hook import output
from tests.lab.fabric import compile_port_profile


@pytest.fixture(scope='session', params=['address,undefined', 'thread'])
def drive(request, tmp_path_factory):
    """Runs driver.c with the library, both with a sanitizer. Returns what it shows."""
    folder = str(tmp_path_factory.mktemp('driver'))
    source, below, program = os.path.dirname(__file__) + '/driver.c', folder + '/below.so', folder + '/driver'
    flags = f'-Wall -Wextra -Werror -O1 -g -fsanitize={request.param} -fno-sanitize-recover=all'
    library = compile_port_profile(folder, flags)
    libnl = output('pkg-config', '--cflags', '--libs', 'libnl-3.0').split()
    output('gcc', *flags.split(), '-fPIC', '-shared', '-o', below, source, *libnl)
    # The order in which the linker finds functions, whatever it thinks is needed.
    order = '-Wl,--no-as-needed', library, below, *libnl, '-lpthread', '-ldl'
    output('gcc', *flags.split(), '-o', program, *order)
    return lambda *args, messages=b'': subprocess.check_output([program, *args], input=messages)
