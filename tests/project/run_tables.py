# SPDX-License-Identifier: GPL-2.0-or-later
"""
Runs the tables of cases on this interpreter, which may have no pytest and no libvirt.

The functions are called, and the script is run as VDSM runs it.
"""

import os
import sys
from xml.dom import minidom

from tests import hook
from tests.unit.property_cases import RIGHT, WRONG
from tests.vdsm_runner import HookError, run_hooks
from vmfex.custom_property import parse_dictionary
from vmfex.failure import Failure
from vmfex.nics import move_all

with open(os.path.join(hook.TESTS, 'data', 'domain.xml'), encoding='utf-8') as f:
    DOMAIN = f.read()


def run(vmfex):
    return run_hooks(
        os.path.join(hook.HOOKS, 'before_vm_start'), DOMAIN, {'vmfex': vmfex}, command=[sys.executable]
    )


passed = 0
for name, (value, profiles) in RIGHT.items():
    assert parse_dictionary(value) == profiles, name
    passed += 1
for name, (value, says) in WRONG.items():
    try:
        parse_dictionary(value)
    except Failure as e:
        assert says in str(e), name
    else:
        raise AssertionError(name)
    passed += 1
for name in 'bare-profile', 'no-quotes', 'seven-octets', 'twice', 'xml-injection', 'letter-with-accent':
    try:
        run(WRONG[name][0])
    except HookError as e:
        assert e.says('custom property vmfex') and e.status == 2, name
        assert e.xml == DOMAIN, name
    else:
        raise AssertionError(name)
    passed += 1

assert run("{'00:1a:4a:16:99:99':'P'}") == (
    DOMAIN,
    'vmfex: no NIC of this VM has MAC address 00:1a:4a:16:99:99\n',
)
assert run('{}') == (DOMAIN, '')
doc = minidom.parseString(DOMAIN.encode())
_, log = move_all(doc.documentElement, {'00:1a:4a:16:01:51': 'P1', '00:1a:4a:16:01:55': 'P 5'})
assert log == [
    'NIC 00:1a:4a:16:01:51 moved from ovirtmgmt to port profile P1; removed: filterref, port, mtu',
    'NIC 00:1a:4a:16:01:55 moved from failover to port profile P 5',
]
new = doc.toxml(encoding='utf-8')
assert new.count(b'<parameters profileid="P') == 2 and b'xmlns:qemu' in new
print(f'{passed + 3} cases passed')
