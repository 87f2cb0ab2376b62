# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes wrong becomes one line, and leaves the XML as it was."""

import os
import subprocess
import sys
from xml.dom import minidom

import pytest

from tests.hook import HOOK
from tests.messages import check_stderr
from tests.unit import cases
from tests.unit.property_cases import WRONG
from tests.vdsm_runner import PLAIN, HookError
from tests.xml_builders import MIRRORING, OWN, domain_xml, metadata_of, nic_xml
from vmfex.elements import read_xml
from vmfex.failure import Failure

A = '00:1a:4a:16:01:51'
DOMAIN = domain_xml(nic_xml(A))
LATIN1 = DOMAIN.replace('ovirtmgmt', 'b\u00fcro').encode('latin-1')
MIRRORED = domain_xml(nic_xml(A), devices=metadata_of(A, MIRRORING))
WRONG_OWN = domain_xml(nic_xml(A), devices=metadata_of(A, OWN.format('a/b')))
PROPERTY = f"{{'{A}':'P'}}"
UNREADABLE = "the XML of the VM can't be read: "


def assert_fails(run_hook, says, xml=DOMAIN, point='before_vm_start', vmfex=PROPERTY, **kwargs):
    with pytest.raises(HookError) as error:
        run_hook(point, xml, vmfex, **kwargs)
    assert error.value.says(says)
    assert (error.value.status, error.value.xml) == (2, xml)


# id: (domain, property, what the line says first)
FAIL = {
    'broken': ('<domain>', PROPERTY, UNREADABLE + 'no element found'),
    'not-utf-8': (LATIN1, PROPERTY, UNREADABLE + "'utf-8' codec can't decode byte 0xfc"),
    'type': (
        domain_xml(nic_xml(A, type='hostdev')),
        PROPERTY,
        f"NIC {A} is of type 'hostdev', only a bridge",
    ),
    'mirroring': (MIRRORED, PROPERTY, f'NIC {A} has port mirroring, which would send '),
    'own-profile': (WRONG_OWN, None, f'custom property vmfex of the vNIC profile of NIC {A}: '),
    **{
        name: (DOMAIN, WRONG[name][0], 'custom property vmfex')
        for name in (
            'bare-profile',
            'seven-octets',
            'xml-injection',
            '100-kB-of-braces',
            'letter-with-accent',
            'twice',
        )
    },
}


@pytest.mark.parametrize('xml, vmfex, says', cases(FAIL))
def test_vm_that_cannot_start_is_one_line(run_hook, xml, vmfex, says):
    assert_fails(run_hook, says, xml, vmfex=vmfex)


@pytest.mark.parametrize('encoding', ['nothing', 'utf-7', 'gb18030', 'utf-8'])
def test_what_is_not_xml_in_its_encoding_is_refused_with_one_line(encoding):
    with pytest.raises(Failure, match=f'^{UNREADABLE}.*; look$') as e:
        read_xml(
            'look',
            minidom.parseString,
            f'<?xml version="1.0" encoding="{encoding}"?>'.encode() + b'<a>\xfc</a>',
        )
    assert str(e.value).isprintable()


def test_link_in_another_hook_point_is_refused(run_hook, tmpdir):
    point = tmpdir.mkdir('before_vm_pause')
    point.join('50_vmfex').mksymlinkto(HOOK)
    assert_fails(run_hook, 'only VDSM can call this', point=str(point))
    assert run_hook(str(point), DOMAIN) == (DOMAIN, '')


@pytest.fixture
def fake(tmpdir):
    """Makes a folder to import VDSM from, with these modules libvirt and, if any, hooking."""

    def fake(libvirt, hooking=None):
        tmpdir.join('libvirt.py').write(libvirt)
        tmpdir.mkdir('vdsm').mkdir('common').join('libvirtconnection.py').write('')
        if hooking:
            tmpdir.mkdir('vdsm', 'hook').join('hooking.py').write(hooking)
        return str(tmpdir)

    return fake


HOOKING = """\
import os
from xml.dom import minidom
def read_domxml():
    return minidom.parse(os.environ['_hook_domxml'])
"""


def test_host_without_vdsm_is_one_line(run_hook, fake):
    says = "No module named 'hooking': this runs on an oVirt host, with VDSM"
    assert_fails(run_hook, says, vdsm=fake(''))


def test_host_without_libvirts_python_binding_is_one_line(run_hook, fake):
    vdsm = fake('raise ImportError("No module named libvirt")', HOOKING)
    assert_fails(run_hook, 'No module named libvirt: this runs on an oVirt host', vdsm=vdsm)


def test_xml_that_is_not_there_is_one_line():
    env = {'PATH': os.environ['PATH'], '_hook_domxml': '/nowhere', 'PYTHONPATH': PLAIN + '/vdsm/hook'}
    done = subprocess.run([sys.executable, HOOK], env=env, stderr=subprocess.PIPE, universal_newlines=True)
    assert done.returncode == 2
    assert done.stderr.startswith("vmfex: [Errno 2] No such file or directory: '/nowhere': check that")
    check_stderr(done.stderr, failed=True)


def test_bug_is_one_line_and_then_the_traceback(run_hook, fake):
    vdsm = fake('def registerErrorHandler(f, ctx):\n    return 1 // 0\n', HOOKING)
    with pytest.raises(HookError) as error:
        run_hook('before_vm_start', DOMAIN, PROPERTY, vdsm=vdsm)
    lines = str(error.value).splitlines()
    assert lines[0].startswith('vmfex: this is a bug, please report it')
    assert lines[1].startswith('Traceback') and lines[-1].startswith('ZeroDivisionError')
    assert (error.value.status, error.value.xml) == (2, DOMAIN)
