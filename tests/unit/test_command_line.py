# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line, as far as no libvirt is asked; tests/lab has the rest."""

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

A, B, C, D, E = (f'00:1a:4a:16:01:5{i}' for i in range(1, 6))
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
        line = done.stderr.decode('utf-8', 'backslashreplace')
        check_stderr(line, failed=bool(error))
        assert (done.returncode, line.count('\n')) == ((2, 1) if error else (0, 0))
        assert line.startswith(f'vmfex: {error}' if error else '')
        return done.stdout

    return call


def test_test_shows_the_effect_on_a_sample_and_the_host(call):
    out = call('--test', error=DENIED)
    assert b'\n--- as it is\n+++ as it would start\n' in out
    assert b'-  <source bridge="ovirtmgmt"/>\n' in out and b'+  <source network="direct-pool"/>\n' in out
    assert b'VM-FEX NICs of this host: ' in out


@pytest.mark.parametrize('locale', ['C', 'C.UTF-8'])
@pytest.mark.parametrize('stdin', [True, False], ids=['stdin', 'file'])
def test_test_shows_the_change_of_a_domain_and_leaves_its_file(call, tmpdir, stdin, locale):
    domain, source = tmpdir.join('domain.xml'), '<source bridge="b\u00fcro"/>'
    domain.write_text(domain_xml('\n', nic_xml(A, source=source)), 'utf-8')
    before = domain.read_text('utf-8')
    with domain.open() as file:
        args = '--test', '-' if stdin else str(domain)
        out = call(*args, error=DENIED, stdin=file, env={'vmfex': PROPERTY}, locale=locale).decode()
    assert f'would log: vmfex: NIC {A} moved from b\u00fcro to port profile P1\n' in out
    assert f'\n-      {source}\n' in out and all(line.strip() for line in out.splitlines())
    assert domain.read_text('utf-8') == before


def test_value_of_a_vnic_profile_is_taken_for_all_nics_on_a_bridge_or_the_pool(call, tmpdir):
    """As at the next start: the NICs on the pool are those of a VM that was started, or runs."""
    nics = nic_xml(A), pool_nic_xml(B, 'P1'), pool_nic_xml(C, 'P1', type='direct'), nic_xml(D)
    tmpdir.join('domain.xml').write(domain_xml(*nics, nic_xml(E, type='hostdev')))
    for args, moved in (['--test', str(tmpdir.join('domain.xml'))], [A, B, C, D]), (['--test'], [A]):
        out = call(*args, error=DENIED, env={'vmfex': 'P2'}).decode()
        assert re.findall('\nwould log: vmfex: NIC (.*) moved from .* to port profile P2', out) == moved


@pytest.mark.parametrize(
    'args, env, error',
    [
        (['--test', '-'], {}, "the XML of the VM can't be read: no element found"),
        (['--test', '/nowhere/domain.xml'], {}, '[Errno 2] No such file or directory'),
        (['--test', '-', '-'], {}, 'unknown arguments'),
        (['--tset'], {}, 'unknown arguments'),
        ([''], {}, 'unknown arguments'),
        # As VDSM calls it, or not quite.
        ([], {}, 'only VDSM can call this'),
        ([], {'_hook_domxml': '/nowhere'}, "[Errno 2] No such file or directory: '/nowhere'"),
        # A VM that would be refused.
        (['--test'], {'vmfex': 'a&b'}, f'custom property vmfex of the vNIC profile of NIC {A}: '),
        (['--test'], {'vmfex': '{'}, 'custom property vmfex is not a dictionary: '),
    ],
)
def test_mistake_is_one_line(call, args, env, error):
    out = call(*args, error=error, env=env, stdin=subprocess.DEVNULL).decode()
    assert out == (f'vmfex={env["vmfex"]}\n' if 'vmfex' in env else '')


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
