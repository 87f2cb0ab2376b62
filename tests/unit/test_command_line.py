# SPDX-License-Identifier: GPL-2.0-or-later

import os
import re
import subprocess
from xml.dom import minidom

import pytest

from tests.hook import HOOK
from tests.messages import check_stderr
from tests.xml_builders import domain_xml, nic_xml, pool_nic_xml

NIC = nic_xml('00:1a:4a:16:01:51')
DOMAIN = domain_xml(f'\n{NIC}\n')
PROPERTY = "{'00:1a:4a:16:01:51':'P1'}"
MOVES = 'would log: vmfex: NIC 00:1a:4a:16:01:51 moved from ovirtmgmt to port profile P1\n'
# What comes last where there is no VDSM; tests/one_host has the rest.
NO_VDSM = (
    "vmfex: No module named 'vdsm': this runs on an oVirt host, with VDSM and libvirt's Python binding\n"
)


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
    assert (status, err) == (2, NO_VDSM)
    assert '-  <source bridge="ovirtmgmt"/>\n' in out and '+  <source network="direct-pool"/>\n' in out
    assert 'VM-FEX NICs of this host: ' in out


def test_test_shows_the_effect_to_a_user_who_may_not_use_libvirt(call, tmpdir):
    tmpdir.join('libvirt.py').write(
        'def registerErrorHandler(f, ctx):\n    pass\n\n\nlibvirtError = RuntimeError'
    )
    tmpdir.mkdir('vdsm').join('__init__.py').write('')
    tmpdir.mkdir('vdsm', 'common').join('__init__.py').write('')
    password = "def get(killOnFailure):\n    raise PermissionError(13, 'Permission denied', '/password')"
    tmpdir.join('vdsm', 'common', 'libvirtconnection.py').write(password)
    status, out, err = call('--test')
    assert status == 2 and err.startswith("vmfex: [Errno 13] Permission denied: '/password': check that")
    assert '+  <source network="direct-pool"/>' in out and 'VM-FEX NICs of this host: ' in out


@pytest.mark.parametrize('stdin', [True, False])
def test_test_shows_the_change_of_a_domain_alone_and_leaves_its_file(call, tmpdir, stdin):
    path = tmpdir.join('domain.xml')
    path.write(DOMAIN)
    with open(str(path)) as f:
        status, out, err = call('--test', '-' if stdin else str(path), stdin=f, vmfex=PROPERTY)
    assert (status, err) == (2, NO_VDSM)
    assert MOVES in out
    changes = [line for line in out.splitlines() if line[0] in '+-' and line[:3] not in ('+++', '---')]
    before, after = (
        minidom.parseString(domain_xml(nic)).toprettyxml(indent='  ').splitlines()
        for nic in (NIC, pool_nic_xml('00:1a:4a:16:01:51', 'P1'))
    )
    assert set(changes) == {
        *('-' + line for line in before if line not in after),
        *('+' + line for line in after if line not in before),
    }
    assert path.read() == DOMAIN and os.listdir(str(tmpdir)) == ['domain.xml']


@pytest.mark.parametrize(
    'args, xml, vmfex, says',
    [
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


@pytest.mark.parametrize(
    'vmfex, says',
    [
        ('a&b', 'custom property vmfex of the vNIC profile of NIC 00:1a:4a:16:01:51: '),
        ('{', 'custom property vmfex is not a dictionary: '),
    ],
)
def test_vm_that_would_be_refused_has_the_same_line_and_status(call, tmpdir, vmfex, says):
    tmpdir.join('domain.xml').write(DOMAIN)
    status, out, err = call('--test', str(tmpdir.join('domain.xml')), vmfex=vmfex)
    assert (status, out) == (2, f'vmfex={vmfex}\n') and err.startswith('vmfex: ' + says)


def test_value_of_a_vnic_profile_is_taken_for_all_bridge_nics(call, tmpdir):
    others = nic_xml('00:1a:4a:16:01:52'), nic_xml('00:1a:4a:16:01:53', type='hostdev')
    tmpdir.join('domain.xml').write(domain_xml(NIC, *others))
    for args, moved in (['--test', str(tmpdir.join('domain.xml'))], 2), (['--test'], 1):
        status, out, err = call(*args, vmfex='P2')
        assert (status, err) == (2, NO_VDSM)
        assert len(re.findall('^would log: vmfex: NIC .* to port profile P2', out, re.MULTILINE)) == moved


@pytest.mark.parametrize(
    'redirection, says',
    [
        ('>&-', 'stdout is closed: '),
        ('>/dev/full', "stdout can't be written (No space left on device): "),
        ('| :', "stdout can't be written (Broken pipe): "),
    ],
)
@pytest.mark.parametrize('args', ['--test', '--help'])
def test_stdout_that_takes_nothing_is_one_line(tmpdir, args, redirection, says):
    # The pipe's reader has ended before the hook begins.
    wait = 'sleep 0.1; ' if '|' in redirection else ''
    script = f'{{ {wait}"$0" {args} 2>"$1"; echo $? >"$2"; }} {redirection}'
    stderr, status = tmpdir.join('stderr'), tmpdir.join('status')
    subprocess.run(['sh', '-c', script, HOOK, str(stderr), str(status)], env={'PATH': os.environ['PATH']})
    assert status.read() == '2\n'
    assert stderr.read().startswith('vmfex: ' + says) and stderr.read().count('\n') == 1
    check_stderr(stderr.read(), failed=True)


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
    assert (done.returncode, done.stderr.count(b'\n')) == (2, 1)
    assert '<source bridge="b\u00fcro"/>'.encode() in done.stdout
