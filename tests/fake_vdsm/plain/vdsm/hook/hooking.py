# SPDX-License-Identifier: GPL-2.0-or-later
"""A fake of VDSM's hooking module: what a hook may rely on, in its own words."""

import os
import sys
from xml.dom import minidom


def read_domxml():
    with open(os.environ['_hook_domxml'], encoding='utf-8') as f:
        return minidom.parseString(f.read().encode('utf-8'))


def write_domxml(domxml):
    with open(os.environ['_hook_domxml'], 'wb') as f:
        f.write(domxml.toxml(encoding='utf-8'))


def log(message):
    sys.stderr.write(message + '\n')
