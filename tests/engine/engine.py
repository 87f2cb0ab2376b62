# SPDX-License-Identifier: GPL-2.0-or-later
"""An engine's options and engine-config: a small one of ours and, with ENGINE_CLASSPATH, the engine's own."""

import base64
import os
import shlex
import subprocess
import sys
from pathlib import Path

from tests.hook import TREE

HERE = Path(__file__).parent
SCRIPT = Path(TREE, 'engine', 'define-vmfex')
OPTIONS = {'vm': 'UserDefinedVMProperties', 'nic': 'CustomDeviceProperties'}
CLASSPATH = os.environ.get('ENGINE_CLASSPATH')
# What the engine's own engine-config.properties says of the two.
PROPERTIES = """
UserDefinedVMProperties.description="User defined VM properties"
UserDefinedVMProperties.type=UserDefinedVMProperties
CustomDeviceProperties.description="Definition of custom properties per each device type"
CustomDeviceProperties.type=DeviceCustomProperties
"""


class Engine:
    """An engine's options in a file; with java, the engine's own code works on them."""

    def __init__(self, folder, java=None):
        self.java, self._state, self._bin = java, folder / 'state', folder / 'bin'
        self._write({f'{option}/{v}': '' for option in OPTIONS.values() for v in ('4.6', '4.7', '4.8')})
        for path in self._bin, folder / 'engine-config':
            path.mkdir()
        (folder / 'engine-config' / 'engine-config.conf').touch()
        (folder / 'engine-config' / 'engine-config.properties').write_text(PROPERTIES)
        command = [*java, 'config'] if java else [sys.executable, HERE / 'engine_config.py']
        self.script = self._bin / 'engine-config'
        self.script.write_text(f'#!/bin/sh\n{shlex.join(map(str, [*command, self._state]))} "$@"\n')
        self.script.chmod(0o755)

    def _write(self, options):
        self._state.write_text(''.join(f'{key}={value}\n' for key, value in options.items()))

    def read(self):
        return dict(line.split('=', 1) for line in self._state.read_text().splitlines())

    def write(self, kind, value):
        self._write({**self.read(), f'{OPTIONS[kind]}/4.7': value})

    def define(self, *arguments, **kwargs):
        return define(*arguments, path=self._bin, **kwargs)

    def ask(self, kind, values=()):
        return ask([*self.java, 'check', self._state, '4.7', kind], values)


def define(*arguments, path='', status=0, stdout=subprocess.PIPE):
    """Run define-vmfex. Returns the lines on stdout and those on stderr."""
    env = {**os.environ, 'PATH': f'{path}:/usr/bin:/bin'}
    command = ['/bin/bash', SCRIPT, *arguments]
    done = subprocess.run(command, env=env, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == status, done.stderr
    return (done.stdout or '').splitlines(), done.stderr.splitlines()


def ask(command, values):
    """Return the expression that a program has in force, and whether it accepts each value."""
    lines = [base64.b64encode(value.encode()).decode() + '\n' for value in values]
    done = subprocess.run(command, input=''.join(lines), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    expression, *answers = done.stdout.splitlines()
    return expression, dict(zip(values, (answer == 'true' for answer in answers)))


def interface(properties):
    return f'{{type=interface;prop={{{properties}}}}}'


DISK = r'{type=disk;prop={boot=^\d{1,2}$;vmfex=^x$}}'
VIDEO = r'{type=video;prop={no_disk=^\d{1}$;vmfex=^x{2}}};{type=rng;prop={}}'
