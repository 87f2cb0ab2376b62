# SPDX-License-Identifier: GPL-2.0-or-later

import os
import subprocess

import pytest

from tests.hook import HOOK
from tests.messages import check_stderr
from tests.xml_builders import domain_xml, nic_xml, pool_nic_xml

NIC = nic_xml('00:1a:4a:16:01:51')
DOMAIN = domain_xml(f'\n{NIC}\n')
PROPERTY = "{'00:1a:4a:16:01:51':'P1'}"
MOVES = 'vmfex: NIC 00:1a:4a:16:01:51 moved from ovirtmgmt to port profile P1\n'


@pytest.fixture
def call(tmpdir):
    """Calls the hook on the command line. Returns its exit status, stdout and stderr."""

    def call(*args, vmfex=None, **kwargs):
        env = {'PATH': os.environ['PATH'], 'PYTHONPATH': str(tmpdir)}  # no VDSM there
        if vmfex is not None:
            env['vmfex'] = vmfex
        done = subprocess.run(
            [HOOK, *args],
            env=env,
            universal_newlines=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **kwargs,
        )
        check_stderr(done.stderr, done.returncode != 0)
        return done.returncode, done.stdout, done.stderr

    return call


def test_help_is_the_manual(call):
    status, out, err = call('--help')
    assert (status, err) == (0, '')
    assert 'vmfex={' in out and '--test' in out


def test_test_shows_the_effect_on_a_sample_and_the_host(call):
    status, out, err = call('--test')
    assert (status, err) == (0, '')
    assert '-  <source bridge="ovirtmgmt"/>\n' in out
    assert '+  <source network="direct-pool"/><virtualport type="802.1Qbh">' in out
    assert 'VM-FEX NICs of this host: ' in out and "vmfex: No module named 'vdsm'" in out


def test_test_shows_the_effect_to_a_user_who_may_not_use_libvirt(call, tmpdir):
    tmpdir.join('libvirt.py').write(
        'def registerErrorHandler(f, ctx):\n    pass\n\n\nlibvirtError = RuntimeError'
    )
    tmpdir.mkdir('vdsm').join('__init__.py').write('')
    tmpdir.mkdir('vdsm', 'common').join('__init__.py').write('')
    password = "def get(killOnFailure):\n    raise PermissionError(13, 'Permission denied', '/password')"
    tmpdir.join('vdsm', 'common', 'libvirtconnection.py').write(password)
    status, out, err = call('--test')
    assert (status, err) == (0, '')
    assert '+  <source network="direct-pool"/>' in out
    assert out.endswith("vmfex: [Errno 13] Permission denied: '/password'\n")


@pytest.mark.parametrize('stdin', [True, False])
def test_test_shows_the_change_of_a_domain_alone_and_leaves_its_file(call, tmpdir, stdin):
    path = tmpdir.join('domain.xml')
    path.write(DOMAIN)
    with open(str(path)) as f:
        status, out, err = call('--test', '-' if stdin else str(path), stdin=f, vmfex=PROPERTY)
    assert (status, err) == (0, '')
    assert MOVES in out
    changes = [line for line in out.splitlines() if line[0] in '+-' and line[:3] not in ('+++', '---')]
    moved = pool_nic_xml('00:1a:4a:16:01:51', 'P1')
    assert changes == ['-' + NIC, '+' + moved]
    assert path.read() == DOMAIN and os.listdir(str(tmpdir)) == ['domain.xml']


@pytest.mark.parametrize(
    'args, xml, vmfex, says',
    [
        (['--test', '-'], DOMAIN, 'Profile1', 'custom property vmfex is not a dictionary'),
        (['--test', '-'], '<domain>', PROPERTY, "the XML of the VM can't be read: no element found"),
        (['--test', '/nowhere/domain.xml'], '', '', '[Errno 2] No such file or directory'),
        (['--test', '-', '-'], '', '', 'unknown arguments'),
        (['--tset'], '', '', 'unknown arguments'),
        ([''], '', '', 'unknown arguments'),
        ([], '', PROPERTY, 'only VDSM can call this'),
        ([], '', None, 'only VDSM can call this'),
    ],
)
def test_mistake_is_one_line(call, tmpdir, args, xml, vmfex, says):
    tmpdir.join('in').write(xml)
    with open(str(tmpdir.join('in'))) as f:
        status, out, err = call(*args, vmfex=vmfex, stdin=f)
    assert (status, out) == (2, '')
    assert err.startswith('vmfex: ' + says) and err.count('\n') == 1


@pytest.mark.parametrize('locale', ['C', 'POSIX', 'C.UTF-8'])
def test_test_shows_any_domain_in_any_locale(tmpdir, locale):
    path = tmpdir.join('domain.xml')
    path.write_binary(DOMAIN.replace('ovirtmgmt', 'b\u00fcro').encode('utf-8'))
    done = subprocess.run(
        [HOOK, '--test', str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={'LC_ALL': locale, 'vmfex': PROPERTY},
    )
    assert (done.returncode, done.stderr) == (0, b'')
    assert '<source bridge="b\u00fcro"/>'.encode() in done.stdout
