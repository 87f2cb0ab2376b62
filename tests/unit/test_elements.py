# SPDX-License-Identifier: GPL-2.0-or-later

from xml.dom import minidom

import pytest

from vmfex.elements import attribute, content, find, read_xml
from vmfex.failure import Failure

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


def test_content_is_the_text_without_comments_and_with_elements_as_they_are_written():
    root = minidom.parseString('<a>P<!-- Q --> 1<![CDATA[<]]><b c="2">3</b><?d?></a>').documentElement
    assert content(root) == 'P 1<<b c="2">3</b><?d ?>'


@pytest.mark.parametrize(
    'xml',
    [
        b'<a>',
        b'<a>\xfc</a>',
        b'<?xml version="1.0" encoding="nothing"?><a/>',
        b'<?xml version="1.0" encoding="utf-7"?><a/>',
        b'<?xml version="1.0" encoding="gb18030"?><a/>',
        b'',
    ],
)
def test_what_is_not_xml_in_its_encoding_is_refused_with_one_line(xml):
    with pytest.raises(Failure, match="^the XML of the VM can't be read: .*; a hook that ran before") as e:
        read_xml(minidom.parseString, xml)
    assert str(e.value).isprintable()
    with pytest.raises(OSError):
        read_xml(minidom.parse, '/nowhere')


def test_attribute_is_that_of_the_first_element_or_empty():
    root = minidom.parseString(XML).documentElement
    assert attribute(root, 'b', 'c', 'n') == '2'
    assert attribute(root, 'b', 'c', 'other') == attribute(root, 'nothing', 'n') == ''
