# SPDX-License-Identifier: GPL-2.0-or-later
"""--test says what a VM's next start would do on this host, and does not do it."""

import libvirt

from tests.lab.hosts import ALPHA, PFS
from tests.lab.kinds import ON_VFS
from tests.lab.vm import VM


def check(host, vm, needed, *pool, error='', xml=None):
    """Check how --test ends: how many NICs the VM needs, the lines on the pool, and how an error begins."""
    status, out, err = host.dry_run(xml or vm.xml, vm.vmfex)
    needs = f'NICs of direct-pool that this VM would take: {needed}'
    assert out[out.index(needs) + 1 :] == list(pool)
    assert (status, len(err)) == ((2, 1) if error else (0, 0)) and ''.join(err).startswith(error)


def logs(*done):
    return [f'would log: vmfex: direct-pool {line}' for line in done]


def test_test_says_what_a_start_would_do_and_does_not_do_it(alpha):
    vm, too_many, bridged = VM(), VM(profiles=10 * ('P',), nics=10), VM(profiles=())
    check(alpha, vm, 2, *logs('defined: ' + ', '.join(ALPHA), 'started', 'set to autostart'))
    assert alpha.conn.listAllNetworks() == []
    alpha.prepare_pool()
    check(alpha, vm, 2)
    check(alpha, too_many, 10, error='vmfex: direct-pool has 9 free NICs of 9, this VM needs 10: ')
    alpha.run('ip', 'link', 'set', 'eth11', 'master', 'ovirtmgmt')
    check(alpha, vm, 2, 'not usable: eth11 is a port of ovirtmgmt')
    alpha.kill_libvirtd()  # which a VM without VM-FEX does not need
    check(alpha, bridged, 0)


@ON_VFS
def test_test_of_a_vm_that_runs_here_counts_its_nics_as_its_own(alpha):
    vm, other = (VM(number, profiles=8 * ('P',), nics=8) for number in range(2))
    vm.start(alpha)
    for flags in 0, libvirt.VIR_DOMAIN_XML_INACTIVE:
        check(alpha, vm, 8, xml=vm.on(alpha).XMLDesc(flags))
    check(alpha, other, 8, error='vmfex: direct-pool has 1 free NIC of 9, this VM needs 8: ')
    # One of its own is the host's own by now: it can leave the pool when the VM has stopped.
    alpha.sysfs.make_own('eth3')
    check(alpha, vm, 8, *logs('defined: ' + ', '.join(ALPHA[1:]), 'stopped', 'started'))
    alpha.sysfs.make_vmfex('eth3')
    alpha.run('ip', 'link', 'set', PFS[0], 'down')  # its NICs are faulty, too
    down = [f'not usable: PF {PFS[0]} of {nic} is down' for nic in ALPHA[0::2]]
    check(alpha, vm, 8, *down, error='vmfex: direct-pool has 4 free NICs of 4, this VM needs 8: ')
    alpha.run('ip', 'link', 'set', PFS[0], 'up')
    alpha.net.destroy()  # libvirt loses count of them
    check(alpha, vm, 8, *logs('started'))


def test_test_says_whether_libvirtd_has_the_library_and_fails_if_not(alpha):
    vm, line = VM(), 'libvirtd has loaded the library of vdsm-hook-vmfex-libvirt'
    status, out, err = alpha.dry_run(vm.xml, vm.vmfex)
    assert (status, err) == (0, []) and line in out
    alpha.port_profile = False
    alpha.restart_libvirtd()
    status, out, err = alpha.dry_run(vm.xml, vm.vmfex)
    line = line.replace('has', 'has not')
    assert status == 2 and line in out and 'would log: vmfex: direct-pool started' in out
    cure = 'put this host into maintenance, install it, then systemctl restart libvirtd'
    assert err == [f'vmfex: {line}: {cure}']
