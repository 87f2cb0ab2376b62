# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line: the manual, and what the hook would do."""

import difflib
import os
import sys
from xml.dom import minidom

from vmfex import nics
from vmfex.custom_property import parse_either
from vmfex.elements import attribute, content, find, read_xml
from vmfex.failure import Failure, exit_on_failure
from vmfex.host import read_nics
from vmfex.libvirt_connection import libvirt_connection
from vmfex.pool import look, plan

SAMPLE_PROPERTY = "{'00:1a:4a:16:01:51': 'Profile1'}"
SAMPLE = """\
<interface type="bridge"><mac address="00:1a:4a:16:01:51"/><source bridge="ovirtmgmt"/>\
<filterref filter="vdsm-no-mac-spoofing"/><mtu size="1500"/></interface>"""
WOULD_LOG = "would log: vmfex: {}"


@exit_on_failure()
def run(arguments, manual):
    """Do what the arguments say."""
    value = os.environ.get('vmfex', '')
    if not sys.stdout:
        raise Failure("stdout is closed: use a terminal, a file or a pipe")
    if arguments == ['--help']:
        lines = [manual.strip()]
    elif arguments == ['--test']:
        lines = show(minidom.parseString(SAMPLE), value or SAMPLE_PROPERTY)
    elif len(arguments) == 2 and arguments[0] == '--test':
        file = sys.stdin.buffer if arguments[1] == '-' else arguments[1]
        lines = show(read_xml(minidom.parse, file), value)
    else:
        raise Failure("unknown arguments: use --test, --test DOMAIN.xml, --test - or --help")
    for line in lines:
        write(line)


def write(line):
    try:
        # Not through sys.stdout: a domain need not fit the locale, and nothing is left to fail at exit.
        with open(sys.stdout.fileno(), 'wb', closefd=False) as stdout:
            stdout.write(f'{line}\n'.encode())
    except OSError as e:
        raise Failure(f"stdout can't be written ({e.strerror}): use a terminal, a file or a pipe") from None


def show(doc, value):
    """
    Give lines on what a VM's start with that property would do, to a domain or to an interface, and to
    this host's pool. Raises Failure where the VM would be refused.
    """
    root, before = doc.documentElement, lines_of(doc)
    yield f"vmfex={value}"
    macs = [nics.mac_of(nic) for nic in nics.find_nics(root) if nic.getAttribute('type') == 'bridge']
    _, log = nics.move_all(root, parse_either(value, macs))
    yield from difflib.unified_diff(before, lines_of(doc), 'as it is', 'as it would start', lineterm='')
    yield from map(WOULD_LOG.format, log)
    yield f"VM-FEX NICs of this host: {' '.join(read_nics().vmfex) or 'none'}"
    needed = len(nics.find_on_pool(root))
    with libvirt_connection() as conn:
        pool, host = look(conn)
        yield from (f"not usable: {fault}" for fault in host.vmfex.values() if fault)
        # A VM that runs on this host would give back its NICs before it starts.
        for nic in find_own_nics(conn, root):
            pool.used.discard(nic)
            host.vmfex[nic] = ''
        steps = plan(needed, pool, host) if needed else []
        yield from (WOULD_LOG.format(line) for line, _ in steps)
        yield f"this VM would take {needed} NICs of direct-pool"


def lines_of(doc):
    return [line for line in doc.toprettyxml(indent='  ').splitlines() if line.strip()]


def find_own_nics(conn, root):
    """Return the names of the NICs of direct-pool that a domain is on, if it runs on this host."""
    uuids = [content(uuid) for uuid in find(root, 'uuid')]
    live = [domain.XMLDesc(0) for domain in conn.listAllDomains() if domain.UUIDString() in uuids]
    own = [nic for xml in live for nic in nics.find_on_pool(minidom.parseString(xml).documentElement)]
    return [attribute(nic, 'source', 'dev') for nic in own if nic.getAttribute('type') == 'direct']
