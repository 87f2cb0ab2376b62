# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line: the manual, and what the hook would do."""

import difflib
import os
import sys
from xml.dom import minidom

from vmfex import host, nics, pool
from vmfex.custom_property import parse_dictionary
from vmfex.failure import Failure
from vmfex.libvirt_connection import libvirt_connection

SAMPLE_PROPERTY = "{'00:1a:4a:16:01:51': 'Profile1'}"
SAMPLE = """\
<interface type='bridge'>
  <mac address='00:1a:4a:16:01:51'/>
  <source bridge='ovirtmgmt'/>
  <filterref filter='vdsm-no-mac-spoofing'/>
  <mtu size='1500'/>
</interface>
"""


def run(arguments, manual):
    """Do what the arguments say. Raises Failure."""
    if arguments == ['--help']:
        lines = [manual.strip()]
    elif arguments == ['--test']:
        lines = show(minidom.parseString(SAMPLE), SAMPLE_PROPERTY)
    elif len(arguments) == 2 and arguments[0] == '--test':
        file = sys.stdin.buffer if arguments[1] == '-' else arguments[1]
        lines = show(minidom.parse(file), os.environ.get('vmfex', ''))
    else:
        raise Failure("unknown arguments: use --test, --test DOMAIN.xml, --test - or --help")
    # A domain need not fit the locale.
    sys.stdout.buffer.write('\n'.join([*lines, '']).encode())


def show(doc, value):
    """Return lines about the effect on that domain, with that custom property, and on direct-pool."""
    before = doc.toxml().splitlines()
    log = nics.move_all(doc.documentElement, parse_dictionary(value))
    lines = [f'vmfex={value}'] + [f'vmfex: {line}' for line in log]
    lines += difflib.unified_diff(before, doc.toxml().splitlines(), 'before', 'after', lineterm='')
    return lines + show_host(nics.count_on_pool(doc.documentElement))


def show_host(need):
    """Return lines about this host for a VM that takes need NICs of the pool."""
    found = host.vmfex_nics()
    lines = [f"VM-FEX NICs of this host: {' '.join(found.nics) or 'none'}"]
    lines += [f'PF {pf} is down: libvirt refuses its VFs' for pf in found.pfs_down]
    try:
        with libvirt_connection() as conn:
            now = pool.look(conn)
            lines += now.net.XMLDesc(0).splitlines() if now.net else ['direct-pool: not there yet']
            pool.check(now, found, need)
            lines += [f'to do: {line}' for _, line in pool.plan(now, found)] or ['direct-pool is right']
    except (Failure, ImportError) as e:
        lines.append(f'direct-pool: {e}')
    return lines
