# SPDX-License-Identifier: GPL-2.0-or-later

import pytest

from tests.fake_vdsm.runner import HookError
from tests.unit.property_cases import RIGHT, WRONG

XML = '<domain><devices/></domain>'


def cases(table):
    return [pytest.param(*case, id=name) for name, case in table.items()]


@pytest.mark.parametrize('value, profiles', cases(RIGHT))
def test_right_value_is_read(vmfex, value, profiles):
    assert vmfex.parse_property(value) == profiles


@pytest.mark.parametrize('value, says', cases(WRONG))
def test_wrong_value_is_refused_with_one_line_that_names_it(vmfex, value, says):
    with pytest.raises(vmfex.Failure) as refusal:
        vmfex.parse_property(value)
    line = str(refusal.value)
    assert line.startswith('custom property vmfex')
    assert says in line
    assert line.isprintable()
    assert len(line) < 300


@pytest.mark.parametrize('value', [None, '', '{}'])
@pytest.mark.parametrize('point', ['before_vm_start', 'before_vm_migrate_destination',
                                   'before_nic_hotplug'])
def test_vm_without_the_property_needs_neither_xml_nor_vdsm(run_hook, point, value, tmpdir):
    # There is no VDSM in that folder, and what is no XML would be refused.
    assert run_hook(point, 'no XML', value, vdsm=str(tmpdir)) == ('no XML', '')


@pytest.mark.parametrize('value', [' ', ' {} ', '{ }'])
@pytest.mark.parametrize('point', ['before_vm_start', 'before_nic_hotplug'])
def test_blank_property_is_none(run_hook, point, value):
    assert run_hook(point, XML, value) == (XML, '')


@pytest.mark.parametrize('name', ['bare-profile', 'seven-octets', 'xml-injection',
                                  '100-kB-of-braces', 'foreign-digits'])
def test_vm_with_a_wrong_value_does_not_start(run_hook, name):
    value, says = WRONG[name]
    with pytest.raises(HookError) as error:
        run_hook('before_vm_start', XML, value)
    assert error.value.says('custom property vmfex')
    assert name == 'foreign-digits' or says in str(error.value)


def test_value_that_is_no_utf8_is_refused(run_hook):
    with pytest.raises(HookError, match=r'^vmfex: custom property vmfex, .*\(1 bytes\) is no port'):
        run_hook('before_vm_start', XML, "{'00:1a:4a:16:01:51':'\udcff'}")
