# SPDX-License-Identifier: GPL-2.0-or-later

import os
import subprocess

import pytest

from tests.fake_vdsm.runner import HookError
from tests.hook import HOOK

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
    assert 'VM-FEX NICs of this host: ' in out and 'direct-pool: ' in out


@pytest.mark.parametrize('stdin', [True, False])
def test_test_shows_the_effect_on_a_domain_and_leaves_its_file(call, tmpdir, stdin):
    path = tmpdir.join('domain.xml')
    path.write(DOMAIN)
    with open(str(path)) as f:
        status, out, err = call('--test', '-' if stdin else str(path), stdin=f,
                                vmfex="{'00:1a:4a:16:01:51':'P1'}")
    assert (status, err) == (0, '')
    assert 'vmfex: NIC 00:1a:4a:16:01:51 moved from x to port profile P1\n' in out
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


@pytest.fixture
def fake(tmpdir):
    """Makes a folder to import VDSM from, with a libvirt and a libvirtconnection of this content."""
    def fake(libvirt, connection=''):
        tmpdir.join('libvirt.py').write(libvirt)
        tmpdir.mkdir('vdsm').join('__init__.py').write('')
        tmpdir.join('vdsm').mkdir('common').join('libvirtconnection.py').write(connection)
        tmpdir.join('vdsm', 'common', '__init__.py').write('')
        return str(tmpdir)
    return fake


def test_host_without_libvirts_python_binding_is_one_line(run_hook, fake):
    vdsm = fake('raise ImportError("No module named libvirt")')
    with pytest.raises(HookError, match='^vmfex: No module named libvirt: this runs on an oVirt host'):
        run_hook('before_vm_start', DOMAIN, "{'00:1a:4a:16:01:51':'P'}", vdsm=vdsm)


def test_bug_is_one_line_and_then_the_traceback(run_hook, fake):
    vdsm = fake('def registerErrorHandler(f, ctx):\n    return 1 // 0\n')
    with pytest.raises(HookError) as error:
        run_hook('before_vm_start', DOMAIN, "{'00:1a:4a:16:01:51':'P'}", vdsm=vdsm)
    lines = str(error.value).splitlines()
    assert lines[0].startswith('vmfex: a bug, please report it')
    assert lines[1].startswith('Traceback') and lines[-1].startswith('ZeroDivisionError')
    assert error.value.status == 2 and error.value.xml == DOMAIN and error.value.left == []


@pytest.mark.parametrize('locale', ['C', 'POSIX', 'C.UTF-8'])
def test_test_shows_any_domain_in_any_locale(tmpdir, locale):
    path = tmpdir.join('b\u00fcro.xml')
    path.write_binary(DOMAIN.replace('<devices>', '<name>b\u00fcro</name><devices>').encode('utf-8'))
    done = subprocess.run([HOOK, '--test', str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env={'LC_ALL': locale, 'vmfex': "{'00:1a:4a:16:01:51':'P'}"})
    assert (done.returncode, done.stderr) == (0, b'')
    assert '-<domain><name>b\u00fcro</name>'.encode('utf-8') in done.stdout


@pytest.mark.parametrize('args, closed, status, says', [
    (['--test'], '<&-', 0, b''),
    (['--test', '-'], '<&-', 2, b'vmfex: [Errno 9] Bad file descriptor'),
    (['--test'], '>&-', 2, b'vmfex: [Errno 9] Bad file descriptor'),
    (['--test'], '>/dev/full', 2, b'vmfex: [Errno 28] No space left on device'),
    (['--test', '/nowhere'], '2>&-', 2, b''),
])
def test_closed_standard_file_is_one_line(args, closed, status, says):
    done = subprocess.run(['sh', '-c', '"$@" ' + closed, 'sh', HOOK] + args, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    assert done.returncode == status
    assert done.stderr.startswith(says) and done.stderr.count(b'\n') == bool(says)
