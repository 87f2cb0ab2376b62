# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the hook as VDSM does; tests/lab/test_vdsm.py has VDSM run it."""

import functools
import os
import subprocess
import tempfile

from tests.hook import TESTS
from tests.messages import check_stderr

PLAIN = os.path.join(TESTS, 'fake_vdsm', 'plain')


class HookError(Exception):
    """As VDSM's, the hook failed. Its text is the hook's stderr, xml the XML as the hook left it."""

    def __init__(self, log, xml, status):
        super().__init__(log)
        self.xml, self.status = xml, status

    def says(self, text):
        """Tell whether this is the one line of the hook that begins with that text."""
        return str(self).startswith('vmfex: ' + text) and str(self).count('\n') == 1


@functools.lru_cache(maxsize=None)
def find_vdsm():
    """Return the folder to import VDSM from: $VDSM_LIB, None if it is installed, or else the plain fake."""
    if 'VDSM_LIB' in os.environ:
        return os.path.abspath(os.environ['VDSM_LIB'])
    command = ['/usr/bin/python3', '-c', 'import vdsm.hook.hooking, vdsm.common.libvirtconnection']
    return PLAIN if subprocess.run(command, cwd='/', stderr=subprocess.DEVNULL).returncode else None


def hook_environment(domxml=None, custom=None, vm_id=None, vdsm=PLAIN):
    """Return the environment of a hook whose XML is in the file domxml."""
    if vdsm is None:
        import vdsm.hook as hook

        path = ['', os.path.dirname(hook.__file__)]
    else:
        path = [vdsm, os.path.join(vdsm, 'vdsm', 'hook')]
    env = {
        **os.environ,
        'vmfex': None,
        '_hook_domxml': domxml,
        'vmId': vm_id,
        'PYTHONPATH': '',
        **(custom or {}),
    }
    env['PYTHONPATH'] = ':'.join([env['PYTHONPATH'], *path])  # a test's own modules before VDSM's
    return {key: value for key, value in env.items() if value is not None}


def call_hook(folder, xml, custom=None, vm_id=None, command=(), vdsm=PLAIN):
    """
    Call 50_vmfex in the folder of a hook point, the XML in a temporary file, as VDSM does.

    custom are the custom properties, and other variables of its environment. command is put before the
    hook's path, to run it elsewhere. Returns the XML, and what the hook wrote to stderr. Raises HookError.
    """
    script = os.path.join(folder, '50_vmfex')
    utf8 = dict(encoding='utf-8', errors='surrogateescape')  # or in another encoding
    with tempfile.TemporaryDirectory(prefix='vmfex-vdsm-') as tmp:
        path = os.path.join(tmp, 'domxml')
        with open(path, 'w', **utf8) as f:
            f.write(xml)
        env = hook_environment(path, custom, vm_id, vdsm)
        pipes = dict(stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        done = subprocess.run([*command, script], env=env, **pipes)
        with open(path, **utf8) as f:
            xml = f.read()
        assert os.listdir(tmp) == ['domxml']
    log = done.stderr.decode('utf-8', 'backslashreplace')
    # This project's hook has its modules beside its hook point.
    if os.path.isdir(os.path.dirname(os.path.realpath(script)) + '/../vmfex'):
        check_stderr(log, done.returncode != 0)
    if done.returncode:
        raise HookError(log, xml, done.returncode)
    return xml, log
