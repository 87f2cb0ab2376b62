# SPDX-License-Identifier: GPL-2.0-or-later
"""Hosts whose VM-FEX NICs are VFs: eth3, eth5, ... of the first PF, eth4, eth6, ... of the second."""

import libvirt
import pytest

from tests.lab.hosts import ALPHA, PFS
from tests.lab.kinds import ON_VFS
from tests.lab.vm import VM
from tests.vdsm_runner import HookError

pytestmark = ON_VFS
FIRST, SECOND = ALPHA[0::2], ALPHA[1::2]
NO_MORE = 'start it on another host, or give this one more dynamic vNICs or VFs'


def start(host, number, nics=1):
    """Start a VM of that number with NICs on the pool. Returns the hook's log and the NICs' names."""
    vm = VM(number, profiles=nics * ('P',), nics=nics)
    log = vm.start(host)
    return log, list(vm.vic_nics(host).values())


def test_vfs_whose_pf_is_down_come_last_and_are_back_at_once(alpha):
    alone = VM(9, profiles=('P',))
    xml, _ = alpha.hook('before_vm_start', alone.xml, alone.vmfex)
    alpha.run('ip', 'link', 'set', PFS[0], 'down')
    with pytest.raises(libvirt.libvirtError, match='PF is not online'):  # this is why
        alpha.conn.createXML(xml)
    log, nics = start(alpha, 0, nics=4)
    assert 'direct-pool started' in log and nics == SECOND
    assert list(alpha.pool_nics()) == SECOND + FIRST
    with pytest.raises(HookError) as error:
        start(alpha, 1)
    down = ''.join(f'; PF {PFS[0]} of {nic} is down' for nic in FIRST)
    assert str(error.value) == f'vmfex: direct-pool has 0 free NICs of 4, this VM needs 1: {NO_MORE}{down}\n'

    alpha.run('ip', 'link', 'set', PFS[0], 'up')
    log, nics = start(alpha, 1)
    assert 'direct-pool' not in log and nics == FIRST[:1]
