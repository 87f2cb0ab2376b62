# SPDX-License-Identifier: GPL-2.0-or-later

import os
import re
import subprocess
import sys
from xml.dom import minidom

import pytest

from tests.hook import HOOK
from tests.messages import check_stderr
from tests.xml_builders import domain_xml, nic_xml, pool_nic_xml

A = '00:1a:4a:16:01:51'
NIC = nic_xml(A, source='<source bridge="b\u00fcro"/>')
DOMAIN = domain_xml(f'\n{NIC}\n')
PROPERTY = f"{{'{A}':'P1'}}"
# What comes last where there is no VDSM, and perhaps no libvirt; tests/one_host has the rest.
NO_VDSM = [
    f"vmfex: No module named '{name}': this runs on an oVirt host, with VDSM and libvirt's Python binding\n"
    for name in ('libvirt', 'vdsm')
]


@pytest.fixture
def call(tmpdir):
    """Calls the hook on the command line, without VDSM. Returns its exit status, stdout and stderr."""

    def call(*args, vmfex=None, locale='C.UTF-8', **kwargs):
        env = {'PATH': os.environ['PATH'], 'PYTHONPATH': str(tmpdir), 'LC_ALL': locale}
        if vmfex is not None:
            env['vmfex'] = vmfex
        kwargs = {'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE, 'encoding': 'utf-8', **kwargs}
        done = subprocess.run([sys.executable, HOOK, *args], env=env, **kwargs)
        if kwargs['encoding']:
            check_stderr(done.stderr, done.returncode != 0)
        return done.returncode, done.stdout, done.stderr

    return call


@pytest.fixture
def domain(tmpdir):
    """The path of a file with a domain."""
    path = tmpdir.join('domain.xml')
    path.write_text(DOMAIN, 'utf-8')
    return str(path)


def test_help_is_the_manual(call):
    status, out, err = call('--help')
    assert (status, err) == (0, '')
    assert 'vmfex={' in out and '--test' in out


def test_test_shows_the_effect_on_a_sample_and_the_host(call):
    status, out, err = call('--test')
    assert status == 2 and err in NO_VDSM
    assert '-  <source bridge="ovirtmgmt"/>\n' in out and '+  <source network="direct-pool"/>\n' in out
    assert 'VM-FEX NICs of this host: ' in out


def test_test_shows_the_effect_to_a_user_who_may_not_use_libvirt(call, tmpdir):
    tmpdir.join('libvirt.py').write('def registerErrorHandler(f, ctx): pass\nlibvirtError = RuntimeError')
    password = "def get(killOnFailure):\n    raise PermissionError(13, 'Permission denied', '/password')"
    tmpdir.mkdir('vdsm').mkdir('common').join('libvirtconnection.py').write(password)
    status, out, err = call('--test')
    assert status == 2 and err.startswith("vmfex: [Errno 13] Permission denied: '/password': check that")
    assert '+  <source network="direct-pool"/>' in out and 'VM-FEX NICs of this host: ' in out


@pytest.mark.parametrize('locale', ['C', 'POSIX', 'C.UTF-8'])
@pytest.mark.parametrize('stdin', [True, False], ids=['stdin', 'file'])
def test_test_shows_the_change_of_a_domain_alone_and_leaves_its_file(call, tmpdir, domain, stdin, locale):
    with open(domain) as f:
        args = '--test', '-' if stdin else domain
        status, out, err = call(*args, stdin=f, vmfex=PROPERTY, locale=locale)
    assert status == 2 and err in NO_VDSM
    assert f'would log: vmfex: NIC {A} moved from b\u00fcro to port profile P1\n' in out
    changes = [line for line in out.splitlines() if line[0] in '+-' and line[:3] not in ('+++', '---')]
    before, after = (
        minidom.parseString(domain_xml(nic)).toprettyxml(indent='  ').splitlines()
        for nic in (NIC, pool_nic_xml(A, 'P1'))
    )
    assert set(changes) == {
        *('-' + line for line in before if line not in after),
        *('+' + line for line in after if line not in before),
    }
    assert tmpdir.join('domain.xml').read_text('utf-8') == DOMAIN and os.listdir(str(tmpdir)) == [
        'domain.xml'
    ]


@pytest.mark.parametrize(
    'args, vmfex, out, says',
    [
        (['--test', '-'], PROPERTY, '', "the XML of the VM can't be read: no element found"),
        (['--test', '/nowhere/domain.xml'], '', '', '[Errno 2] No such file or directory'),
        (['--test', '-', '-'], '', '', 'unknown arguments'),
        (['--tset'], '', '', 'unknown arguments'),
        ([''], '', '', 'unknown arguments'),
        ([], PROPERTY, '', 'only VDSM can call this'),
        ([], None, '', 'only VDSM can call this'),
        # A VM that would be refused.
        (['--test'], 'a&b', 'vmfex=a&b\n', f'custom property vmfex of the vNIC profile of NIC {A}: '),
        (['--test'], '{', 'vmfex={\n', 'custom property vmfex is not a dictionary: '),
    ],
)
def test_mistake_is_one_line(call, args, vmfex, out, says):
    status, shown, err = call(*args, vmfex=vmfex, stdin=subprocess.DEVNULL)
    assert (status, shown) == (2, out)
    assert err.startswith('vmfex: ' + says) and err.count('\n') == 1


@pytest.mark.parametrize('locale', ['C', 'C.UTF-8'])
@pytest.mark.parametrize('value', [b"{'\xe2\x80\x98':'P'}", b'\xff'])
def test_value_that_does_not_fit_the_locale_is_one_line(call, value, locale):
    status, out, err = call('--test', vmfex=value, locale=locale, encoding=None)
    assert status == 2 and out == b'vmfex=' + value + b'\n'
    assert err.startswith(b'vmfex: custom property vmfex') and err.count(b'\n') == 1


def test_value_of_a_vnic_profile_is_taken_for_all_bridge_nics(call, tmpdir):
    others = nic_xml('00:1a:4a:16:01:52'), nic_xml('00:1a:4a:16:01:53', type='hostdev')
    tmpdir.join('domain.xml').write(domain_xml(nic_xml(A), *others))
    for args, moved in (['--test', str(tmpdir.join('domain.xml'))], 2), (['--test'], 1):
        status, out, err = call(*args, vmfex='P2')
        assert status == 2 and err in NO_VDSM
        assert len(re.findall('^would log: vmfex: NIC .* to port profile P2', out, re.MULTILINE)) == moved


@pytest.mark.parametrize('arg', ['--test', '--help'])
def test_stdout_that_takes_nothing_is_one_line(call, arg):
    reader, pipe = os.pipe()
    os.close(reader)
    with open('/dev/full', 'wb') as full, open(pipe, 'wb') as broken:
        for stdout, says in (
            ({'preexec_fn': lambda: os.close(0)}, 'stdin or stdout is closed: '),
            ({'preexec_fn': lambda: os.close(1)}, 'stdin or stdout is closed: '),
            ({'stdout': full}, "stdout can't be written (No space left on device): "),
            ({'stdout': broken}, "stdout can't be written (Broken pipe): "),
        ):
            status, _, err = call(arg, **stdout)
            assert status == 2 and err.startswith('vmfex: ' + says) and err.count('\n') == 1
