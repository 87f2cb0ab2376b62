# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line, as far as no libvirt is asked; tests/lab has the rest."""

import difflib
import os
import re
import signal
import subprocess
import sys
from xml.dom import minidom

import pytest

from tests.hook import HOOK
from tests.messages import check_stderr
from tests.unit import refused
from tests.vdsm_runner import PLAIN
from tests.xml_builders import domain_xml, nic_xml, pool_nic_xml
from vmfex.elements import read_xml

A = '00:1a:4a:16:01:51'
NIC = nic_xml(A, source='<source bridge="b\u00fcro"/>')
PROPERTY = f"{{'{A}':'P1'}}"
# A user who may not use libvirt.
LIBVIRT = """\
def registerErrorHandler(function, context): pass
def open(uri): raise PermissionError(13, 'Permission denied', '/password')
libvirtError = RuntimeError
"""
DENIED = "[Errno 13] Permission denied: '/password': check that "


@pytest.fixture
def call(tmpdir):
    """
    Calls the hook on the command line. Returns its stdout, as bytes, and checks its stderr: it fails with
    one line, which begins with that error, if the test names one.
    """
    tmpdir.join('libvirt.py').write(LIBVIRT)
    path = f'{tmpdir}:{PLAIN}:{PLAIN}/vdsm/hook'

    def call(*args, error='', locale='C.UTF-8', stdout=subprocess.PIPE, env=None, **kwargs):
        env = {'PATH': os.environ['PATH'], 'PYTHONPATH': path, 'LC_ALL': locale, **(env or {})}
        command = [sys.executable, HOOK, *args]
        done = subprocess.run(command, env=env, stdout=stdout, stderr=subprocess.PIPE, **kwargs)
        assert done.returncode == (2 if error else 0)
        line = done.stderr.decode('utf-8', 'backslashreplace')
        check_stderr(line, failed=bool(error))
        if error:
            assert line.startswith(f'vmfex: {error}') and line.count('\n') == 1
        else:
            assert line == ''
        return done.stdout

    return call


@pytest.fixture
def domain(tmpdir):
    """A file with a domain."""
    tmpdir.join('domain.xml').write_text(domain_xml(f'\n{NIC}\n'), 'utf-8')
    return tmpdir.join('domain.xml')


def test_help_is_the_manual(call):
    out = call('--help')
    assert b'vmfex={' in out and b'--test' in out


def test_test_shows_the_effect_on_a_sample_and_the_host(call):
    out = call('--test', error=DENIED)
    assert b'-  <source bridge="ovirtmgmt"/>\n' in out and b'+  <source network="direct-pool"/>\n' in out
    assert b'VM-FEX NICs of this host: ' in out


@pytest.mark.parametrize('locale', ['C', 'C.UTF-8'])
@pytest.mark.parametrize('stdin', [True, False], ids=['stdin', 'file'])
def test_test_shows_the_change_of_a_domain_and_leaves_its_file(call, domain, stdin, locale):
    before = domain.read_text('utf-8')
    with domain.open() as file:
        args = '--test', '-' if stdin else str(domain)
        out = call(*args, error=DENIED, stdin=file, env={'vmfex': PROPERTY}, locale=locale).decode()
    assert f'would log: vmfex: NIC {A} moved from b\u00fcro to port profile P1\n' in out
    old, new = (
        minidom.parseString(domain_xml(nic)).toprettyxml(indent='  ').splitlines()
        for nic in (NIC, pool_nic_xml(A, 'P1'))
    )
    diff = difflib.unified_diff(old, new, 'as it is', 'as it would start', lineterm='')
    assert '\n'.join(diff) in out
    assert domain.read_text('utf-8') == before


def test_value_of_a_vnic_profile_is_taken_for_all_bridge_nics(call, domain):
    others = nic_xml('00:1a:4a:16:01:52'), nic_xml('00:1a:4a:16:01:53', type='hostdev')
    domain.write(domain_xml(nic_xml(A), *others))
    for args, moved in (['--test', str(domain)], 2), (['--test'], 1):
        out = call(*args, error=DENIED, env={'vmfex': 'P2'})
        assert len(re.findall(b'\nwould log: vmfex: NIC .* to port profile P2', out)) == moved


@pytest.mark.parametrize(
    'args, env, out, error',
    [
        (['--test', '-'], {}, b'', "the XML of the VM can't be read: no element found"),
        (['--test', '/nowhere/domain.xml'], {}, b'', '[Errno 2] No such file or directory'),
        (['--test', '-', '-'], {}, b'', 'unknown arguments'),
        (['--tset'], {}, b'', 'unknown arguments'),
        ([''], {}, b'', 'unknown arguments'),
        # As VDSM calls it, or not quite.
        ([], {'vmfex': PROPERTY}, b'', 'only VDSM can call this'),
        ([], {}, b'', 'only VDSM can call this'),
        ([], {'_hook_domxml': '/nowhere'}, b'', "[Errno 2] No such file or directory: '/nowhere'"),
        # A VM that would be refused.
        (
            ['--test'],
            {'vmfex': 'a&b'},
            b'vmfex=a&b\n',
            f'custom property vmfex of the vNIC profile of NIC {A}: ',
        ),
        (['--test'], {'vmfex': '{'}, b'vmfex={\n', 'custom property vmfex is not a dictionary: '),
    ],
)
def test_mistake_is_one_line(call, args, env, out, error):
    assert call(*args, error=error, env=env, stdin=subprocess.DEVNULL) == out


@pytest.mark.parametrize('encoding', ['nothing', 'utf-7'])
def test_xml_in_no_known_encoding_is_refused(encoding):
    with refused('; look'):
        read_xml('look', minidom.parseString, f'<?xml version="1.0" encoding="{encoding}"?><a/>'.encode())


@pytest.mark.parametrize('locale', ['C', 'C.UTF-8'])
@pytest.mark.parametrize('value', [b"{'\xe2\x80\x98':'P'}", b'\xff'])
def test_value_that_does_not_fit_the_locale_is_one_line(call, value, locale):
    out = call('--test', error='custom property vmfex', env={'vmfex': value}, locale=locale)
    assert out == b'vmfex=' + value + b'\n'


def test_stdin_or_stdout_that_is_closed_or_takes_nothing_is_one_line(call):
    for stream in 0, 1:
        call('--help', error='stdin or stdout is closed: ', preexec_fn=lambda stream=stream: os.close(stream))
    reader, pipe = os.pipe()
    os.close(reader)
    with open('/dev/full', 'wb') as full, open(pipe, 'wb') as broken:
        call('--help', error="stdout can't be written (No space left on device): ", stdout=full)
        call('--test', error="stdout can't be written (Broken pipe): ", stdout=broken)


def test_ctrl_c_ends_it_without_a_traceback(tmpdir):
    fifo = str(tmpdir.join('fifo'))
    os.mkfifo(fifo)
    with subprocess.Popen([sys.executable, HOOK, '--test', fifo], stderr=subprocess.PIPE) as test:
        with open(fifo, 'wb'):  # once the hook has opened it, too
            test.send_signal(signal.SIGINT)
            assert test.communicate()[1] == b''
    assert test.returncode == -signal.SIGINT


def test_error_of_libvirt_in_several_lines_becomes_one(call, tmpdir):
    error = "def open(uri): raise libvirtError('broken:\\n  here')\n"
    tmpdir.join('libvirt.py').write(LIBVIRT + error)
    call('--test', error='libvirt failed: broken: here; check libvirt on this host')


@pytest.mark.parametrize('nic', ['network', 'direct'])
def test_value_of_a_vnic_profile_is_judged_and_applied_also_on_the_pool(call, domain, nic):
    """As at the next start: a NIC of a VM that was started or runs there."""
    domain.write(domain_xml(pool_nic_xml(A, 'P1', type=nic)))
    out = call('--test', str(domain), error=DENIED, env={'vmfex': 'P2'})
    assert f'\nwould log: vmfex: NIC {A} moved from port profile P1 to port profile P2'.encode() in out
    call(
        '--test',
        str(domain),
        error=f'custom property vmfex of the vNIC profile of NIC {A}: ',
        env={'vmfex': ' P'},
    )
