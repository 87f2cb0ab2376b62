# SPDX-License-Identifier: GPL-2.0-or-later

import subprocess

import pytest

from tests.engine.engine import CLASSPATH, HERE, Engine


@pytest.fixture(scope='session')
def java(tmp_path_factory):
    """The command that runs the engine's own code."""
    if not CLASSPATH:
        pytest.skip("no engine's classes are here: set ENGINE_CLASSPATH")
    classes = str(tmp_path_factory.mktemp('classes'))
    command = ['javac', '-nowarn', '-cp', CLASSPATH, '-d', classes, HERE / 'EngineOnFile.java']
    subprocess.run(command, check=True)
    options = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Djava.util.logging.config.file=/dev/null']
    return ['java', *options, '-cp', f'{classes}:{CLASSPATH}', 'EngineOnFile']


@pytest.fixture(params=['small', 'own'])
def engine(request, tmp_path):
    """An engine of versions 4.6 to 4.8 that defines no properties."""
    return Engine(tmp_path, request.getfixturevalue('java') if request.param == 'own' else None)
