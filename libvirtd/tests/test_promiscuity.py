# SPDX-License-Identifier: GPL-2.0-or-later
"""What the library for libvirtd makes of requests for IFF_PROMISC and IFF_UP, and of other ioctl commands."""

import errno
import os

import pytest

GONE, OTHER = (f'({os.strerror(error)})' for error in (errno.ENODEV, errno.E2BIG))
# Steps (see driver.c), and what the kernel is asked for and the NIC's promiscuity after them. While a macvtap
# is up, that is 1, and 2 if the macvtap has IFF_PROMISC.
CASES = {
    # VMs start on a NIC, their drivers load, they stop. One is paused, one's guest is promiscuous later.
    'P UP U new P UP U new P UP U gone': 'P 0 UP U P 0 UP U P 0 UP U 0',
    'P UP U 0 U': 'P 0 UP U 0 U 1',
    'U UP U': 'U UP U 1',
    # What is asked for while it is down replaces what was before; what is asked for with IFF_UP counts.
    'P 0 U': 'P 0 U 1',
    'P P 0 P UP': 'P P 0 P 0 UP 2',
    'P U UP': 'P 0 U UP 2',
    # IFF_PROMISC of one that is up.
    'U UP UP U': 'U UP UP U 1',
    # Once too often after it was down with it, never too rarely.
    'U UP P UP U': 'U UP P 0 UP U 2',
    # Another macvtap of that name does not inherit it.
    'P new U': 'P U 1',
    'P gone U UP new U': f'P U {GONE} UP {GONE} U 1',
    # Other commands, without and with an argument, and one that needs all bits of both.
    **{step: f'{step} {step} {OTHER} 0' for step in ('8912,0', '8915,1', 'c0105500,7ffffffffffffff0')},
}


@pytest.mark.parametrize('steps', CASES)
def test_kernel_is_asked_for(drive, steps):
    assert drive('ioctl', *steps.split()).decode() == CASES[steps]
