# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes wrong becomes one line, and leaves the XML as it was."""

import os
import subprocess

import pytest

from tests.hook import HOOK
from tests.messages import check_stderr
from tests.vdsm_runner import PLAIN, HookError
from tests.xml_builders import MIRRORING, OWN, device_xml, domain_xml, nic_xml

DOMAIN = domain_xml(nic_xml('00:1a:4a:16:01:51'))
LATIN1 = DOMAIN.replace('ovirtmgmt', 'b\u00fcro').encode('latin-1')
PROPERTY = "{'00:1a:4a:16:01:51':'P'}"


def assert_fails(run_hook, says, xml=DOMAIN, point='before_vm_start', vmfex=PROPERTY, **kwargs):
    with pytest.raises(HookError) as error:
        run_hook(point, xml, vmfex, **kwargs)
    assert error.value.says(says)
    assert (error.value.status, error.value.xml, error.value.left) == (2, xml, [])


def test_broken_xml_is_one_line(run_hook):
    assert_fails(run_hook, "the XML of the VM can't be read: no element found", xml='<domain>')


def test_xml_that_is_not_utf_8_is_one_line(run_hook):
    assert_fails(
        run_hook, "the XML of the VM can't be read: 'utf-8' codec can't decode byte 0xfc", xml=LATIN1
    )


@pytest.mark.parametrize(
    'type, children, says',
    [
        ('hostdev', '', "NIC 00:1a:4a:16:01:51 is of type 'hostdev', only a bridge NIC can move to VM-FEX: "),
        ('bridge', MIRRORING, 'NIC 00:1a:4a:16:01:51 has port mirroring, which would send '),
        ('bridge', OWN.format('a/b'), 'custom property vmfex of the vNIC profile of NIC 00:1a:4a:16:01:51: '),
    ],
    ids=['type', 'mirroring', 'own-profile'],
)
def test_nic_that_cannot_move_is_one_line(run_hook, type, children, says):
    mac = '00:1a:4a:16:01:51'
    xml = domain_xml(nic_xml(mac, type=type), devices=device_xml(mac, children))
    assert_fails(run_hook, says, xml, vmfex=None if 'vmfex' in children else PROPERTY)


def test_link_in_another_hook_point_is_refused(run_hook, tmpdir):
    point = tmpdir.mkdir('before_vm_pause')
    point.join('50_vmfex').mksymlinkto(HOOK)
    assert_fails(run_hook, 'only VDSM can call this', point=str(point))
    assert run_hook(str(point), DOMAIN) == (DOMAIN, '')


@pytest.fixture
def fake(tmpdir):
    """Makes a folder to import VDSM from, with modules libvirt, hooking and libvirtconnection."""

    def fake(libvirt, hooking=None):
        tmpdir.join('libvirt.py').write(libvirt)
        for folder in 'vdsm', 'vdsm/common', 'vdsm/hook':
            tmpdir.mkdir(*folder.split('/'))
            tmpdir.join(folder, '__init__.py').write('')
        tmpdir.join('vdsm', 'common', 'libvirtconnection.py').write('')
        if hooking is not None:
            tmpdir.join('vdsm', 'hook', 'hooking.py').write(hooking)
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


def test_file_that_cannot_be_read_is_one_line(run_hook, fake):
    hooking = 'def read_domxml():\n    open("/nowhere")\n'
    assert_fails(
        run_hook,
        "[Errno 2] No such file or directory: '/nowhere': check that the file",
        vdsm=fake('', hooking),
    )


def test_xml_that_is_not_there_is_one_line():
    env = {'PATH': os.environ['PATH'], '_hook_domxml': '/nowhere', 'PYTHONPATH': PLAIN + '/vdsm/hook'}
    done = subprocess.run([HOOK], env=env, stderr=subprocess.PIPE, universal_newlines=True)
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
