# SPDX-License-Identifier: GPL-2.0-or-later
"""direct-pool, the libvirt network with the host's VM-FEX NICs: what it is, what it should be."""

import collections
from xml.dom import minidom

from vmfex.elements import attribute, find
from vmfex.failure import Failure
from vmfex.host import HostNICs, find_fault, kind_of, read_nics
from vmfex.libvirt_connection import libvirt_connection
from vmfex.lock import lock
from vmfex.nics import POOL

# uuid: '' if there is no pool; live, next: the Network now and after its next start; used: names of NICs
Pool = collections.namedtuple('Pool', 'uuid active persistent autostart live next used')
# nics: a dict of name to connections, in libvirt's order; foreign: elements and attributes that are not OURS
Network = collections.namedtuple('Network', 'nics foreign')
OURS = {None, 'name', 'uuid', 'forward', 'interface', 'connections'}
NO_POOL = Pool('', False, False, False, Network({}, set()), Network({}, set()), set())


def prepare_pool(needed):
    """
    Make direct-pool right for a VM that takes that many of its NICs. Returns a line for the log for each
    change. Raises Failure, with nothing changed if the VM can't have its NICs or direct-pool is somebody
    else's; OSError if there can't be a lock.
    """
    if not needed:
        return []
    with libvirt_connection() as conn:
        if not plan(needed, *look(conn)):
            return []
        with lock():  # another hook may have been at it
            steps = plan(needed, *look(conn))
            for _, action in steps:
                action(conn)
            return [line for line, _ in steps]


def look(conn):
    """Return direct-pool, a Pool, and the HostNICs. Raises Failure if it is somebody else's network."""
    import libvirt

    host, net = read_nics(), next((net for net in conn.listAllNetworks() if net.name() == POOL), None)
    if not net:
        return NO_POOL, host
    live, next_ = (parse_network(net.XMLDesc(flags)) for flags in (0, libvirt.VIR_NETWORK_XML_INACTIVE))
    used = {nic for nic, connections in live.nics.items() if connections}
    # libvirt counts a VM before its macvtap is there, and until it is gone. So only a fault that was there
    # before libvirt was asked, and is still there, is not that of a VM that comes or goes meanwhile.
    wrong = [nic for nic, fault in host.vmfex.items() if fault and nic not in used]
    faults = {nic: find_fault(nic, kind_of(nic)) if nic in wrong else '' for nic in host.vmfex}
    state = net.isActive(), net.isPersistent(), net.autostart()
    return Pool(net.UUIDString(), *state, live, next_, used), HostNICs(faults, host.others)


def parse_network(xml):
    root = minidom.parseString(xml).documentElement
    mode = attribute(root, 'forward', 'mode') or 'none'
    if mode != 'passthrough':
        rule = f"its forward mode is {mode} instead of passthrough"
        raise Failure(f"network direct-pool is not the hook's, {rule}: give it another name")
    [forward] = find(root, 'forward')
    interfaces = find(forward, 'interface')
    nics = {nic.getAttribute('dev'): int(nic.getAttribute('connections') or 0) for nic in interfaces}
    names = {child.localName for child in [*root.childNodes, *forward.childNodes]}
    return Network(nics, names.union(root.attributes.keys()) - OURS)


def check(needed, pool, host):
    """Raise Failure unless libvirt will give a VM that many usable NICs of the pool."""
    # A pool that VMs are on can't change before this VM starts.
    names = list(pool.live.nics) if pool.used else in_order(host)
    unused = [nic for nic in names if nic not in pool.used]
    free = [nic for nic in unused if host.vmfex.get(nic) == '']
    hints = [fault for fault in host.vmfex.values() if fault]
    hints += [f"{nic} comes when the VMs on direct-pool have left" for nic in host.vmfex if nic not in names]
    more = ''.join(f"; {hint}" for hint in hints)
    if len(free) < needed:
        count = f"{len(free)} free {'NIC' if len(free) == 1 else 'NICs'} of {len(pool.used) + len(free)}"
        cure = "start it on another host, or give this one more dynamic vNICs or VFs"
        raise Failure(f"direct-pool has {count}, this VM needs {needed}: {cure}{more}")
    # libvirt takes the first ones. Those of the host matter anywhere, as more VMs may start meanwhile.
    wrong = [nic for nic in unused if nic in host.others or nic in unused[:needed] and nic not in free]
    if wrong:
        fault = f"{wrong[0]}, which is not a usable VM-FEX NIC; it can't leave the pool while VMs are on it"
        raise Failure(f"direct-pool would give VMs {fault}: migrate these VMs, then try again{more}")


def in_order(host):
    """Return the VM-FEX NICs: libvirt takes the first that no VM is on, so unusable ones come last."""
    return sorted(host.vmfex, key=lambda nic: bool(host.vmfex[nic]))


def is_right(network, host):
    if network.foreign or set(network.nics) != set(host.vmfex):
        return False
    unusable = [bool(host.vmfex[nic]) for nic in network.nics]
    return unusable == sorted(unusable)


def plan(needed, pool, host):
    """
    Return what makes direct-pool right for a VM that takes that many NICs: steps, each a line for the log
    and a function of a virConnect. Raises Failure if the VM can't have them.
    """
    check(needed, pool, host)
    # None of the steps is a net.update(): libvirt would forget which NICs are in use, and give them out
    # a second time.
    steps = []
    if not (pool.persistent and is_right(pool.next, host)):
        nics = in_order(host)
        when = ", for its next start, as VMs are on it" if pool.used else ""
        line, xml = f"direct-pool defined{when}: {', '.join(nics)}", definition(nics, pool.uuid)
        steps.append((line, lambda conn: conn.networkDefineXML(xml)))
    restart = pool.active and not pool.used and not is_right(pool.live, host)
    if restart:
        steps.append(("direct-pool stopped", stop))
    if restart or not pool.active:
        steps.append(("direct-pool started", lambda conn: conn.networkLookupByName(POOL).create()))
    if not pool.autostart:
        autostart = "direct-pool set to autostart"
        steps.append((autostart, lambda conn: conn.networkLookupByName(POOL).setAutostart(1)))
    return steps


def definition(nics, uuid):
    """Return the XML of direct-pool with these NICs, and with the UUID that it has, if any."""
    uuid = f'<uuid>{uuid}</uuid>' if uuid else ''
    interfaces = ''.join(f'<interface dev="{nic}"/>' for nic in nics)
    return f'<network><name>{POOL}</name>{uuid}<forward mode="passthrough">{interfaces}</forward></network>'


def stop(conn):
    # As late as possible: this must not meet a VM that came since. One that libvirt lost count of runs on.
    net = conn.networkLookupByName(POOL)
    if any(parse_network(net.XMLDesc(0)).nics.values()):
        raise Failure("a VM came onto direct-pool just when it was to restart: try again")
    net.destroy()
