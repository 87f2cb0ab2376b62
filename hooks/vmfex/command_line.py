# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line: the manual, and what the hook would do."""

import os
import sys
from xml.dom import minidom

from vmfex import nics
from vmfex.custom_property import parse_dictionary
from vmfex.failure import Failure
from vmfex.host import vmfex_nics
from vmfex.libvirt_connection import libvirt_connection
from vmfex.pool import check, look, plan

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
    """Change the domain as the hook would, with that property. Returns lines about it and direct-pool."""
    import difflib

    before = lines_of(doc)
    _, log = nics.move_all(doc.documentElement, parse_dictionary(value))
    lines = [f'vmfex={value}'] + [f'vmfex: {line}' for line in log]
    lines += difflib.unified_diff(before, lines_of(doc), 'before', 'after', lineterm='')
    return lines + show_host(nics.count_on_pool(doc.documentElement))


def lines_of(doc):
    return [line for line in doc.toxml().splitlines() if line.strip()]


def show_host(needed):
    """Return lines about this host for a VM that takes that many NICs of the pool."""
    host = vmfex_nics()
    lines = [f"VM-FEX NICs of this host: {' '.join(host.nics) or 'none'}"]
    lines += [f'PF {pf} is down: libvirt refuses its VFs' for pf in host.pfs_down]
    if not needed:
        return [*lines, 'this VM takes no NIC of direct-pool']
    try:
        with libvirt_connection() as conn:
            pool = look(conn)
            lines += pool.net.XMLDesc(0).splitlines() if pool.net else ['direct-pool does not exist yet']
            check(pool, host, needed)
            lines += [f'vmfex: {line}' for _, line in plan(pool, host)] or ['direct-pool is right']
    except (Failure, ImportError, OSError) as e:
        lines.append(f'vmfex: {e}')
    return lines
