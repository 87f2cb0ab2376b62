# SPDX-License-Identifier: GPL-2.0-or-later

import pytest

from tests.unit.property_cases import RIGHT, WRONG
from tests.vdsm_runner import HookError
from tests.xml_builders import domain_xml, nic_xml
from vmfex.custom_property import check_port_profile, parse_dictionary, parse_either
from vmfex.failure import Failure

A, B, C = (f'00:1a:4a:16:01:{i}' for i in (51, 52, 53))


def cases(table):
    return [pytest.param(*case, id=name) for name, case in table.items()]


@pytest.mark.parametrize('value, profiles', cases(RIGHT))
def test_right_value_is_read(value, profiles):
    assert parse_dictionary(value) == profiles


@pytest.mark.parametrize('value, says', cases(WRONG))
def test_wrong_value_is_refused_with_one_line_that_names_it(value, says):
    with pytest.raises(Failure) as refusal:
        parse_dictionary(value)
    line = str(refusal.value)
    assert line.startswith('custom property vmfex')
    assert says in line
    assert line.isprintable()
    assert len(line) < 300


@pytest.mark.parametrize('name', ['bare-profile', 'seven-octets', 'xml-injection', '100-kB-of-braces'])
def test_vm_with_a_wrong_value_does_not_start(run_hook, name):
    value, says = WRONG[name]
    with pytest.raises(HookError) as error:
        run_hook('before_vm_start', domain_xml(nic_xml(A)), value)
    assert error.value.says('custom property vmfex') and says in str(error.value)
    assert error.value.status == 2


@pytest.mark.parametrize(
    'value, profiles',
    [
        ('', {}),
        (' ', {}),
        ('{}', {}),
        (f"{{'{A}': 'P', '{C}': 'Q'}}", {A: 'P', C: 'Q'}),
        ('P', {A: 'P', B: 'P'}),
        ('VM network 2', {A: 'VM network 2', B: 'VM network 2'}),
        (A, {A: A, B: A}),
    ],
)
def test_value_is_a_dictionary_or_the_port_profile_of_a_vnic_profiles_nics(value, profiles):
    assert parse_either(value, [A, B]) == profiles


@pytest.mark.parametrize('value', ['[]', 'a&b', ' P', 40 * 'p', "'P'"])
def test_wrong_port_profile_of_a_vnic_profile_names_the_nic(value):
    with pytest.raises(Failure, match=f'^custom property vmfex of the vNIC profile of NIC {A}: .* is not a'):
        parse_either(value, [A])


def test_wrong_port_profile_is_said_with_where_it_stands():
    with pytest.raises(
        Failure, match="^custom property vmfex of somebody: 'a/b' is not a port profile: use 1"
    ):
        check_port_profile('a/b', 'of somebody')
    assert check_port_profile('a b', '') == 'a b'
