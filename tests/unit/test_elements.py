# SPDX-License-Identifier: GPL-2.0-or-later

from xml.dom import minidom

from vmfex.elements import attribute, find

XML = (
    '<a xmlns:o="urn:o"> text <b n="1"><c n="2"/><o:c n="3"/></b><!-- --><b><c n="4"/>'
    '<x><c n="5"/></x></b></a>'
)


def test_elements_are_found_by_their_whole_path_in_order():
    root = minidom.parseString(XML).documentElement
    assert [e.getAttribute('n') for e in find(root, 'b', 'c')] == ['2', '4']
    assert find(root) == [root]
    assert find(root, 'c') == []


def test_elements_of_a_namespace_are_found_by_it_alone():
    [b, _] = find(minidom.parseString(XML).documentElement, 'b')
    assert [e.getAttribute('n') for e in find(b, 'c', namespace='urn:o')] == ['3']


def test_attribute_is_that_of_the_first_element_or_empty():
    root = minidom.parseString(XML).documentElement
    assert attribute(root, 'b', 'c', 'n') == '2'
    assert attribute(root, 'b', 'c', 'other') == attribute(root, 'nothing', 'n') == ''
