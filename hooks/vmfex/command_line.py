# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line: the manual, and what the hook would do."""

import difflib
import sys
from xml.dom import minidom

from vmfex import domain
from vmfex.custom_property import parse_either
from vmfex.elements import content, find, read_xml
from vmfex.failure import Failure, exit_on_failure
from vmfex.host import read_nics
from vmfex.library import describe_library
from vmfex.libvirt_connection import libvirt_connection
from vmfex.pool import Pool

SAMPLE = """\
<interface type="bridge"><mac address="00:1a:4a:16:01:51"/><source bridge="ovirtmgmt"/>\
<filterref filter="vdsm-no-mac-spoofing"/><mtu size="1500"/></interface>"""
WOULD_LOG = "would log: vmfex: {}"


@exit_on_failure()
def run(arguments, manual, environment):
    """Do what the arguments say."""
    if not (sys.stdin and sys.stdout):
        raise Failure("stdin or stdout is closed", "use a terminal, a file or a pipe")
    value = environment.get('vmfex', '')
    if arguments == ['--help']:
        lines = [manual.strip()]
    elif arguments == ['--test']:
        lines = show(minidom.parseString(SAMPLE), value or "{'00:1a:4a:16:01:51': 'Profile1'}")
    elif len(arguments) == 2 and arguments[0] == '--test':
        file = sys.stdin.buffer if arguments[1] == '-' else arguments[1]
        lines = show(
            read_xml("give that of a domain, as virsh dumpxml prints it", minidom.parse, file), value
        )
    else:
        raise Failure("unknown arguments", "use --test, --test DOMAIN.xml, --test - or --help")
    for line in lines:
        write(line)


def write(line):
    try:
        # Not through sys.stdout: a value need not fit the locale, and nothing is left to fail at exit.
        with open(sys.stdout.fileno(), 'wb', closefd=False) as stdout:
            stdout.write(f'{line}\n'.encode('utf-8', 'surrogateescape'))
    except OSError as e:
        message = f"stdout can't be written ({e.strerror})"
        raise Failure(message, "use a terminal, a file or a pipe") from None


def show(doc, value):
    """Give lines on what a VM's start would do to it and to this host. Raises Failure if it is refused."""
    root, before = doc.documentElement, lines_of(doc)
    yield f"vmfex={value}"
    interfaces = domain.find_interfaces(root)
    macs = [interface.mac for interface in interfaces if interface.type == 'bridge' or interface.on_pool]
    _, log = domain.move_interfaces(root, parse_either(value, macs))
    yield from difflib.unified_diff(before, lines_of(doc), 'as it is', 'as it would start', lineterm='')
    yield from map(WOULD_LOG.format, log)
    needed = len(domain.find_on_pool(root))
    yield f"VM-FEX NICs of this host: {' '.join(read_nics()[0]) or 'none'}"
    library, cure = describe_library()
    yield library
    yield f"NICs of direct-pool that this VM would take: {needed}"
    if needed:
        with libvirt_connection() as conn:
            pool = Pool.read(conn, leaving=find_leaving(conn, root))
            yield from (f"not usable: {fault}" for fault in pool.faults.values() if fault)
            yield from (WOULD_LOG.format(step.line) for step in pool.steps(needed))
    if cure:
        raise Failure(library, cure)


def find_leaving(conn, root):
    """Return the Interfaces that a domain, if it runs here, has on direct-pool until it starts anew."""
    uuids = [content(uuid) for uuid in find(root, 'uuid')]
    running = [found for found in conn.listAllDomains() if found.UUIDString() in uuids]
    roots = [minidom.parseString(found.XMLDesc(0)).documentElement for found in running]
    return [interface for root in roots for interface in domain.find_on_pool(root)]


def lines_of(doc):
    return [line for line in doc.toprettyxml(indent='  ').splitlines() if line.strip()]
