# SPDX-License-Identifier: GPL-2.0-or-later
"""direct-pool, the libvirt network with the host's VM-FEX NICs: what it is, what it should be."""

import collections
from xml.dom import minidom

from vmfex.elements import attribute, find
from vmfex.failure import Failure
from vmfex.host import vmfex_nics
from vmfex.libvirt_connection import libvirt_connection
from vmfex.lock import lock
from vmfex.nics import POOL

# net: the virNetwork, or None; live, next: the Network now and after its next start; used: names of NICs
Pool = collections.namedtuple('Pool', 'net active persistent autostart live next used')
# nics: a dict of name to connections, in libvirt's order; foreign: elements and attributes that are not OURS
Network = collections.namedtuple('Network', 'nics foreign')
OURS = {None, 'name', 'uuid', 'forward', 'interface', 'connections'}


def prepare_pool(needed):
    """
    Make direct-pool right for a VM that takes that many of its NICs.

    Returns a line for the log for each change. Raises Failure, with nothing changed if the VM can't have
    its NICs or direct-pool is somebody else's; OSError if there can't be a lock.
    """
    if not needed:
        return []
    with libvirt_connection() as conn:
        pool, host = look(conn), vmfex_nics()
        check(pool, host, needed)
        if not plan(pool, host):
            return []
        with lock():  # another hook may have been at it
            pool, host = look(conn), vmfex_nics()
            check(pool, host, needed)
            return apply(conn, pool, host)


def look(conn):
    """Return direct-pool as libvirt has it, a Pool. Raises Failure if it is somebody else's."""
    import libvirt

    net = next((net for net in conn.listAllNetworks() if net.name() == POOL), None)
    if not net:
        return Pool(None, False, False, False, Network({}, set()), Network({}, set()), set())
    live, next_ = (parse_network(net.XMLDesc(flags)) for flags in (0, libvirt.VIR_NETWORK_XML_INACTIVE))
    used = {nic for nic, connections in live.nics.items() if connections}
    return Pool(net, net.isActive(), net.isPersistent(), net.autostart(), live, next_, used)


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


def check(pool, host, needed):
    """Raise Failure unless libvirt will give a VM that many usable NICs of the pool."""
    # A pool that is used can't change before the VM starts.
    unused = [nic for nic in (pool.live.nics if pool.used else host.nics) if nic not in pool.used]
    free = [nic for nic in unused if nic in host.nics]
    down = f"; down, and so unusable with their VFs: {', '.join(host.pfs_down)}" if host.pfs_down else ""
    if len(free) < needed:
        count = f"{len(free)} free {'NIC' if len(free) == 1 else 'NICs'} of {len(pool.used) + len(free)}"
        cure = "start it on another host, or give this one more dynamic vNICs or VFs"
        raise Failure(f"direct-pool has {count}, this VM needs {needed}: {cure}{down}")
    for nic in unused[:needed]:  # the first ones are what libvirt takes
        if nic not in host.nics:
            fault = "which is not a usable VM-FEX NIC; it can't leave the pool while VMs are on the pool"
            cure = "migrate these VMs, then try again"
            raise Failure(f"direct-pool would give this VM {nic}, {fault}: {cure}{down}")


def plan(pool, host):
    """Return what makes direct-pool right: steps, each with its line for the log."""
    steps = []
    if not (pool.persistent and is_right(pool.next, host)):
        when = ", for its next start, as VMs are on it" if pool.used else ""
        steps.append(('define', f"direct-pool defined{when}: {', '.join(host.nics)}"))
    restart = pool.active and not pool.used and not is_right(pool.live, host)
    if restart:
        steps.append(('stop', "direct-pool stopped"))
    if restart or not pool.active:
        steps.append(('start', "direct-pool started"))
    if not pool.autostart:
        steps.append(('autostart', "direct-pool set to autostart"))
    return steps


def is_right(network, host):
    return set(network.nics) == set(host.nics) and not network.foreign


def definition(nics, uuid=''):
    """Return the XML of direct-pool with these NICs, and with the UUID that it has, if any."""
    uuid = f'<uuid>{uuid}</uuid>' if uuid else ''
    interfaces = ''.join(f'<interface dev="{nic}"/>' for nic in nics)
    forward = f'<forward mode="passthrough">{interfaces}</forward>'
    return f'<network><name>{POOL}</name>{uuid}{forward}</network>'


def apply(conn, pool, host):
    """Do what is planned. Returns lines for the log. Raises Failure, or libvirt's error."""
    net, steps = pool.net, plan(pool, host)
    for step, _ in steps:
        if step == 'define':
            net = conn.networkDefineXML(definition(host.nics, net and net.UUIDString()))
        elif step == 'stop':
            # As late as possible: this must not meet a VM that came since.
            if any(parse_network(net.XMLDesc(0)).nics.values()):
                raise Failure("a VM came onto direct-pool just when it was to restart: try again")
            net.destroy()
        elif step == 'start':
            net.create()
        elif step == 'autostart':
            net.setAutostart(1)
    return [line for _, line in steps]
