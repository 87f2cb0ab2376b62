# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the hooks of a hook point as VDSM does."""

import functools
import os
import subprocess
import tempfile

STAND_IN = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'stand_in')


class HookError(Exception):
    """
    VDSM's: a hook failed. The text is what all failed hooks wrote to stderr.

    Unlike VDSM's it has the XML as the hooks left it, and the last hook's exit status.
    """

    def __init__(self, text, xml, status):
        super().__init__(text)
        self.xml = xml
        self.status = status


@functools.lru_cache(maxsize=None)
def find_vdsm():
    """
    Return the folder to import VDSM from, None for the interpreter's own.

    That is $VDSM_LIB (the lib folder of VDSM's source), the VDSM installed for
    /usr/bin/python3, or the stand-in.
    """
    if 'VDSM_LIB' in os.environ:
        return os.environ['VDSM_LIB']
    installed = subprocess.run(
        ['/usr/bin/python3', '-c', 'import vdsm.hook.hooking, vdsm.common.libvirtconnection'],
        cwd='/', stderr=subprocess.DEVNULL).returncode == 0
    return None if installed else STAND_IN


def hook_environment(domxml='', custom=None, vm_id=None, vdsm=STAND_IN):
    """Return the environment of a hook whose XML is in the file domxml."""
    env = {key: value for key, value in os.environ.items() if key not in ('vmfex', 'PYTHONPATH')}
    if vdsm is None:
        import vdsm.hook as hook

        path = ['', os.path.dirname(hook.__file__)]
    else:
        path = [vdsm, os.path.join(vdsm, 'vdsm', 'hook')]
    env.update(custom or {}, PYTHONPATH=':'.join(path))
    if domxml:
        env['_hook_domxml'] = domxml
    if vm_id:
        env['vmId'] = vm_id
    return env


def run_hooks(folder, xml, custom=None, vm_id=None, command=(), vdsm=STAND_IN):
    """
    Run what is executable in the folder of a hook point, sorted by name.

    xml goes through the hooks as VDSM's does, in a temporary file. custom are the VM's custom
    properties. command is put before each hook's path, to run it elsewhere: in a namespace, or by
    another interpreter. Returns the XML and what the hooks wrote to stderr. Raises HookError.
    """
    scripts = sorted(os.path.join(folder, name) for name in os.listdir(folder))
    log, errors = [], []
    with tempfile.TemporaryDirectory(prefix='vmfex-vdsm-') as tmp:
        path = os.path.join(tmp, 'domxml')
        with open(path, 'w', encoding='utf-8', newline='') as f:
            f.write(xml)
        env = hook_environment(path, custom, vm_id, vdsm)
        for script in scripts:
            if not (os.path.isfile(script) and os.access(script, os.X_OK)):
                continue
            done = subprocess.run([*command, script], env=env, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            err = done.stderr.decode('utf-8', 'backslashreplace')
            log.append(err)
            if done.returncode:
                errors.append(err)
            if done.returncode == 2:
                break
        with open(path, encoding='utf-8', newline='') as f:
            xml = f.read()
        if errors:
            raise HookError(''.join(errors), xml, done.returncode)
        return xml, ''.join(log)
