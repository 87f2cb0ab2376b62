# SPDX-License-Identifier: GPL-2.0-or-later

import os
import subprocess

import pytest

from hook import HOOK
from vdsm_runner import HookError

NIC = '<interface type="bridge"><mac address="00:1a:4a:16:01:51"/><source bridge="x"/></interface>'
DOMAIN = '<domain><devices>{}</devices></domain>\n'.format(NIC)


@pytest.fixture
def call(tmpdir):
    """Calls the hook on the command line. Returns its exit status, stdout and stderr."""
    def call(*args, **kwargs):
        env = {'PATH': os.environ['PATH'], 'PYTHONPATH': str(tmpdir)}  # no VDSM there
        if 'vmfex' in kwargs:
            env['vmfex'] = kwargs.pop('vmfex')
        done = subprocess.run([HOOK] + list(args), env=env, universal_newlines=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kwargs)
        return done.returncode, done.stdout, done.stderr
    return call


def test_help_is_the_manual(call):
    status, out, err = call('--help')
    assert (status, err) == (0, '')
    assert 'vmfex={' in out and '--test' in out


def test_test_shows_the_effect_on_a_sample_and_the_host(call):
    status, out, err = call('--test')
    assert (status, err) == (0, '')
    assert "-  <source bridge='ovirtmgmt'/>" in out
    assert '+  <source network="direct-pool"/>' in out
    assert 'free VIC NICs of this host:' in out and 'direct-pool: ' in out


@pytest.mark.parametrize('stdin', [True, False])
def test_test_shows_the_effect_on_a_domain_and_leaves_its_file(call, tmpdir, stdin):
    path = tmpdir.join('domain.xml')
    path.write(DOMAIN)
    with open(str(path)) as f:
        status, out, err = call('--test', '-' if stdin else str(path), stdin=f,
                                vmfex="{'00:1a:4a:16:01:51':'P1'}")
    assert (status, err) == (0, '')
    assert 'vmfex: NIC 00:1a:4a:16:01:51 moved to port profile P1; removed: source\n' in out
    assert '-' + DOMAIN in out
    assert path.read() == DOMAIN and os.listdir(str(tmpdir)) == ['domain.xml']


@pytest.mark.parametrize('args, vmfex, says', [
    (['--test', '-'], 'Profile1', 'custom property vmfex is no dictionary'),
    (['--test', '-'], "{'00:1a:4a:16:01:51':'P'}", "the XML of the VM can't be read: no element"),
    (['--test', '/nowhere/domain.xml'], '', '[Errno 2] No such file or directory'),
    (['--test', '-', '-'], '', 'unknown arguments'),
    (['--tset'], '', 'unknown arguments'),
    ([''], '', 'unknown arguments'),
    ([], "{'00:1a:4a:16:01:51':'P'}", 'only VDSM can call this'),
])
def test_mistake_is_one_line(call, args, vmfex, says):
    status, out, err = call(*args, vmfex=vmfex, stdin=subprocess.DEVNULL)
    assert (status, out) == (2, '')
    assert err.startswith('vmfex: ' + says) and err.count('\n') == 1


def test_link_in_another_hook_point_is_refused(run_hook, tmpdir):
    point = tmpdir.mkdir('before_vm_pause')
    point.join('50_vmfex').mksymlinkto(HOOK)
    with pytest.raises(HookError, match='^vmfex: only VDSM can call this'):
        run_hook(str(point), DOMAIN, "{'00:1a:4a:16:01:51':'P'}")
    assert run_hook(str(point), DOMAIN) == (DOMAIN, '')


def test_broken_xml_is_one_line(run_hook):
    with pytest.raises(HookError, match="^vmfex: the XML of the VM can't be read: .*\n$"):
        run_hook('before_vm_start', '<domain>', "{'00:1a:4a:16:01:51':'P'}")


def test_host_without_libvirts_python_binding_is_one_line(run_hook, tmpdir):
    tmpdir.join('libvirt.py').write('raise ImportError("No module named libvirt")')
    tmpdir.mkdir('vdsm').mkdir('hook').join('hooking.py').write(
        'import os\nfrom xml.dom import minidom\n'
        'def read_domxml():\n    return minidom.parse(os.environ["_hook_domxml"])\n')
    with pytest.raises(HookError, match='^vmfex: No module named libvirt: this runs on an oVirt host'):
        run_hook('before_vm_start', DOMAIN, "{'00:1a:4a:16:01:51':'P'}", vdsm=str(tmpdir))


def test_bug_is_one_line_and_then_the_traceback(run_hook, tmpdir):
    tmpdir.mkdir('vdsm').mkdir('hook').join('hooking.py').write(
        'def read_domxml():\n    return 1 // 0\n')
    with pytest.raises(HookError) as error:
        run_hook('before_vm_start', DOMAIN, "{'00:1a:4a:16:01:51':'P'}", vdsm=str(tmpdir))
    lines = str(error.value).splitlines()
    assert lines[0].startswith('vmfex: a bug, please report it')
    assert lines[1].startswith('Traceback') and lines[-1].startswith('ZeroDivisionError')
    assert error.value.status == 2 and error.value.xml == DOMAIN
