# SPDX-License-Identifier: GPL-2.0-or-later
"""Elements of XML, as minidom has them."""

from xml.dom import minidom
from xml.parsers.expat import ExpatError

from vmfex.failure import Failure


def read_xml(cure, parse, *source):
    """Return the document that parse makes of a source. Raises Failure if it is not XML, or OSError."""
    try:
        return parse(*source)
    except (ExpatError, ValueError, LookupError) as e:  # the latter two: not in its encoding, or in none
        raise Failure("the XML of the VM can't be read", cure, detail=e) from None


def find(element, *path, namespace=None):
    """Return the elements that a path of names, all in that namespace, leads to, in document order."""
    if not path:
        return [element]
    found = [e for e in element.childNodes if (e.localName, e.namespaceURI) == (path[0], namespace)]
    return [e for child in found for e in find(child, *path[1:], namespace=namespace)]


def attribute(element, *path):
    """Return an attribute, '' if there is none; path is element names and then its name."""
    for found in find(element, *path[:-1]):
        return found.getAttribute(path[-1])
    return ''


def content(element):
    """Return what stands in an element, without comments: its text, and elements as they are written."""
    nodes = [node for node in element.childNodes if node.nodeType != node.COMMENT_NODE]
    return ''.join(node.data if isinstance(node, minidom.Text) else node.toxml() for node in nodes)
