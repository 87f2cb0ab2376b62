# SPDX-License-Identifier: GPL-2.0-or-later
"""Elements of XML, as minidom has them."""


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
