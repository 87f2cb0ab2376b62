# SPDX-License-Identifier: GPL-2.0-or-later

import pytest

from tests.unit import cases
from tests.unit.property_cases import RIGHT, WRONG, A, B
from vmfex.custom_property import parse_dictionary, parse_either
from vmfex.failure import Failure

C = '00:1a:4a:16:01:53'


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


@pytest.mark.parametrize(
    'value, profiles',
    [
        ('', {}),
        (' ', {}),
        (' {}', {}),
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
