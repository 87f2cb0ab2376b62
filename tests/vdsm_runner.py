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
        self.xml = xml
        self.status = status

    def says(self, text):
        """Tell whether this is the one line of the hook that begins with that text."""
        return str(self).startswith('vmfex: ' + text) and str(self).count('\n') == 1


@functools.lru_cache(maxsize=None)
def find_vdsm():
    """
    Return the folder to import VDSM from, None for the interpreter's own.

    That is $VDSM_LIB (the site-packages folder of an unpacked package), the VDSM installed for
    /usr/bin/python3, or the plain fake.
    """
    if 'VDSM_LIB' in os.environ:
        return os.path.abspath(os.environ['VDSM_LIB'])
    command = ['/usr/bin/python3', '-c', 'import vdsm.hook.hooking, vdsm.common.libvirtconnection']
    missing = subprocess.run(command, cwd='/', stderr=subprocess.DEVNULL).returncode
    return PLAIN if missing else None


def hook_environment(domxml='', custom=None, vm_id=None, vdsm=PLAIN):
    """Return the environment of a hook whose XML is in the file domxml."""
    env = {key: value for key, value in os.environ.items() if key not in ('vmfex', 'PYTHONPATH')}
    if vdsm is None:
        import vdsm.hook as hook

        path = ['', os.path.dirname(hook.__file__)]
    else:
        path = [vdsm, os.path.join(vdsm, 'vdsm', 'hook')]
    custom = dict(custom or {})
    # A test may put a folder in front of VDSM's modules.
    path.insert(0, custom.pop('PYTHONPATH', ''))
    env.update(custom, PYTHONPATH=':'.join(path))
    if domxml:
        env['_hook_domxml'] = domxml
    if vm_id:
        env['vmId'] = vm_id
    return env


def call_hook(folder, xml, custom=None, vm_id=None, command=(), vdsm=PLAIN):
    """
    Call 50_vmfex in the folder of a hook point.

    xml, text or bytes, goes through the hook as VDSM's does, in a temporary file. custom are the custom
    properties, and other variables of its environment. command is put before the hook's path, to run it
    elsewhere: in a namespace, or by another interpreter. Returns the XML, text or bytes as it came, and
    what the hook wrote to stderr. Raises HookError.
    """
    script = os.path.join(folder, '50_vmfex')
    with tempfile.TemporaryDirectory(prefix='vmfex-vdsm-') as tmp:
        path = os.path.join(tmp, 'domxml')
        with open(path, 'wb') as f:
            f.write(xml if isinstance(xml, bytes) else xml.encode('utf-8'))
        env = hook_environment(path, custom, vm_id, vdsm)
        pipes = dict(stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        done = subprocess.run([*command, script], env=env, **pipes)
        with open(path, 'rb') if isinstance(xml, bytes) else open(path, encoding='utf-8') as f:
            xml = f.read()
        assert os.listdir(tmp) == ['domxml']
    log = done.stderr.decode('utf-8', 'backslashreplace')
    # This project's hook has its modules beside its hook point.
    if os.path.isdir(os.path.dirname(os.path.realpath(script)) + '/../vmfex'):
        check_stderr(log, done.returncode != 0)
    if done.returncode:
        raise HookError(log, xml, done.returncode)
    return xml, log
