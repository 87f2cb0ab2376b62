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
from vmfex.host import DYNAMIC_VNIC, VF, find_fault, kind_of, read_nics
from vmfex.libvirt_connection import libvirt_connection
from vmfex.pool import look, plan

SAMPLE = """\
<interface type="bridge"><mac address="00:1a:4a:16:01:51"/><source bridge="ovirtmgmt"/>\
<filterref filter="vdsm-no-mac-spoofing"/><mtu size="1500"/></interface>"""
NEED_LIBRARY = {DYNAMIC_VNIC: "dynamic vNICs", VF: "VFs on EL10"}
WOULD_LOG = "would log: vmfex: {}"


@exit_on_failure
def run(arguments, manual):
    """Do what the arguments say."""
    value, hint = os.environ.get('vmfex', ''), "give that of a domain, as virsh dumpxml prints it"
    if not (sys.stdin and sys.stdout):
        raise Failure("stdin or stdout is closed: use a terminal, a file or a pipe")
    if arguments == ['--help']:
        lines = [manual.strip()]
    elif arguments == ['--test']:
        lines = show(minidom.parseString(SAMPLE), value or "{'00:1a:4a:16:01:51': 'Profile1'}")
    elif len(arguments) == 2 and arguments[0] == '--test':
        file = sys.stdin.buffer if arguments[1] == '-' else arguments[1]
        lines = show(read_xml(hint, minidom.parse, file), value)
    else:
        raise Failure("unknown arguments: use --test, --test DOMAIN.xml, --test - or --help")
    for line in lines:
        write(line)


def write(line):
    try:
        # Not through sys.stdout: a value need not fit the locale, and nothing is left to fail at exit.
        with open(sys.stdout.fileno(), 'wb', closefd=False) as stdout:
            stdout.write(f'{line}\n'.encode('utf-8', 'surrogateescape'))
    except OSError as e:
        raise Failure(f"stdout can't be written ({e.strerror}): use a terminal, a file or a pipe") from None


def show(doc, value):
    """Give lines on what a VM's start would do to it and to this host. Raises Failure if it is refused."""
    root, before = doc.documentElement, lines_of(doc)
    yield f"vmfex={value}"
    macs = [nics.mac_of(nic) for nic in nics.find_nics(root) if nic.getAttribute('type') == 'bridge']
    _, log = nics.move_all(root, parse_either(value, macs))
    yield from difflib.unified_diff(before, lines_of(doc), 'as it is', 'as it would start', lineterm='')
    yield from map(WOULD_LOG.format, log)
    vmfex, needed = read_nics().vmfex, len(nics.find_on_pool(root))
    yield f"VM-FEX NICs of this host: {' '.join(vmfex) or 'none'}"
    for kind in sorted({kind_of(nic) for nic in vmfex}.intersection(NEED_LIBRARY)):
        yield f"{NEED_LIBRARY[kind]} need vdsm-hook-vmfex-libvirt: {describe_library()}"
    yield f"NICs of direct-pool that this VM would take: {needed}"
    if needed:
        with libvirt_connection() as conn:
            yield from show_pool(conn, needed, [content(uuid) for uuid in find(root, 'uuid')])


def show_pool(conn, needed, uuids):
    """Give lines on direct-pool, for a VM that needs that many NICs and may run here, by its UUID."""
    pool, host = look(conn)
    for domain in conn.listAllDomains():
        if domain.UUIDString() in uuids:
            # Before it starts, it would give back its NICs: libvirt counts it, and its macvtap is on them.
            for nic in nics.find_on_pool(minidom.parseString(domain.XMLDesc(0)).documentElement):
                name, macvtap = attribute(nic, 'source', 'dev'), attribute(nic, 'target', 'dev')
                pool.used.discard(name)
                if name in host.vmfex:
                    fault = find_fault(name, kind_of(name))
                    host.vmfex[name] = '' if fault == f"{macvtap} is on {name}" else fault
    yield from (f"not usable: {fault}" for fault in host.vmfex.values() if fault)
    yield from (WOULD_LOG.format(line) for line, _ in plan(needed, pool, host))


def describe_library():
    """Say whether libvirtd has the library without which kernels refuse its port profile requests."""
    try:
        with open('/run/libvirtd.pid') as pid, open(f'/proc/{pid.read().strip()}/maps') as maps:
            loaded = 'libvmfex-port-profile' in maps.read()
            return f"libvirtd has {'' if loaded else 'not '}loaded its library"
    except OSError as e:
        return f"whether libvirtd has loaded its library is unknown ({e})"


def lines_of(doc):
    return [line for line in doc.toprettyxml(indent='  ').splitlines() if line.strip()]
