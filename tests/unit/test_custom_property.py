# SPDX-License-Identifier: GPL-2.0-or-later

import pytest

from tests.unit import refused
from tests.unit.property_cases import RIGHT, WRONG, A, B
from vmfex.custom_property import parse_dictionary, parse_either

C = '00:1a:4a:16:01:53'


def profiles_of(ports):
    return {mac: port.profile for mac, port in ports.items()}


@pytest.mark.parametrize('value, profiles', RIGHT.values(), ids=list(RIGHT))
def test_right_value_is_read(value, profiles):
    assert profiles_of(parse_dictionary(value)) == profiles


@pytest.mark.parametrize('value, says', WRONG.values(), ids=list(WRONG))
def test_wrong_value_is_refused_with_one_line_that_names_it(value, says):
    with refused(says):
        parse_dictionary(value)


@pytest.mark.parametrize(
    'value, profiles',
    [
        (' ', {}),
        (f" {{'{A}': 'P', '{C}': 'Q'}}", {A: 'P', C: 'Q'}),
        ('VM network 2', {A: 'VM network 2', B: 'VM network 2'}),
    ],
)
def test_value_is_a_dictionary_or_the_port_profile_of_a_vnic_profiles_nics(value, profiles):
    assert profiles_of(parse_either(value, [A, B])) == profiles


@pytest.mark.parametrize('value', [*(f'P{character}1' for character in '&<>"\'/;\\'), ' P', '\u00a0'])
def test_wrong_port_profile_of_a_vnic_profile_names_the_nic(value):
    with refused(f'of the vNIC profile of NIC {A}: {value!r} is not a port profile: use 1 to 39'):
        parse_either(value, [A, B])
