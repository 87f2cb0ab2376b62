# SPDX-License-Identifier: GPL-2.0-or-later
"""direct-pool, the libvirt network with the host's VM-FEX NICs: what it is, what it should be."""

import collections
from xml.dom import minidom

from vmfex.elements import attribute, find
from vmfex.failure import Failure
from vmfex.host import find_fault, read_nics
from vmfex.interface import POOL
from vmfex.libvirt_connection import libvirt_connection
from vmfex.lock import lock

# nics: a dict of name to connections, in libvirt's order; foreign: elements and attributes that are not KNOWN
Network = collections.namedtuple('Network', 'nics foreign')
KNOWN = {None, 'name', 'uuid', 'forward', 'interface', 'connections'}  # None: text between them
# line: for the log; do: a function of a virConnect
Step = collections.namedtuple('Step', 'line do')


def prepare_pool(needed):
    """
    Make direct-pool right for a VM that takes that many of its NICs. Returns a line for the log for each
    change. Raises Failure, with nothing changed if the VM can't have its NICs or direct-pool is somebody
    else's; OSError if there can't be a lock.
    """
    if not needed:
        return []
    with libvirt_connection() as conn:
        if not Pool.read(conn).steps(needed):
            return []
        with lock():  # another hook may have changed it meanwhile
            steps = Pool.read(conn).steps(needed)
            for step in steps:
                step.do(conn)
            return [step.line for step in steps]


class Pool(collections.namedtuple('Pool', 'uuid active persistent autostart live next used faults others')):
    """
    direct-pool and the host's NICs at one moment.

    uuid is '' if there is no such network. live and next are the Network now and after its next start. used
    has the names of the NICs that VMs are on. faults is a dict of each of the host's VM-FEX NICs to what
    keeps VMs off it, '' if nothing does. others has the names of the host's other NICs.
    """

    @classmethod
    def read(cls, conn, leaving=()):
        """Read it, as it will be when the VM with these Interfaces has left. Raises Failure if not ours."""
        import libvirt

        macvtaps = {interface.macvtap for interface in leaving}
        vmfex, others = read_nics()
        faulty = {nic for nic in vmfex if find_fault(nic, macvtaps)}
        network = next((network for network in conn.listAllNetworks() if network.name() == POOL), None)
        if network:
            flags = 0, libvirt.VIR_NETWORK_XML_INACTIVE
            live, later = (parse_network(network.XMLDesc(flag)) for flag in flags)
            state = network.UUIDString(), network.isActive(), network.isPersistent(), network.autostart()
        else:
            live, later, state = Network({}, set()), Network({}, set()), ('', False, False, False)
        used = {nic for nic, connections in live.nics.items() if connections}
        used -= {interface.host_nic for interface in leaving}
        # A VM's own macvtap is not a fault. libvirt counts a VM before its macvtap is there, and until it is
        # gone: so a NIC is faulty if it was both before libvirt was asked and after that.
        faults = {nic: find_fault(nic, macvtaps) if nic in faulty - used else '' for nic in vmfex}
        return cls(*state, live, later, used, faults, others)

    def in_order(self):
        """Return the VM-FEX NICs: libvirt takes the first that no VM is on, so unusable ones come last."""
        return sorted(self.faults, key=lambda nic: bool(self.faults[nic]))

    def is_right(self, network):
        """Return whether a Network has all VM-FEX NICs, the unusable ones last, and nothing else."""
        unusable = [bool(self.faults.get(nic)) for nic in network.nics]
        same = set(network.nics) == set(self.faults)
        return same and unusable == sorted(unusable) and not network.foreign

    def check(self, needed):
        """Raise Failure unless libvirt will give a VM that many usable NICs of the pool."""
        # A pool that VMs are on can't change before this VM starts.
        names = list(self.live.nics) if self.used else self.in_order()
        unused = [nic for nic in names if nic not in self.used]
        free = [nic for nic in unused if self.faults.get(nic) == '']
        hints = [fault for fault in self.faults.values() if fault]
        late = [nic for nic in self.faults if nic not in names]
        hints += [f"{nic} comes when the VMs on direct-pool have left" for nic in late]
        more = ''.join(f"; {hint}" for hint in hints)
        if len(free) < needed:
            count = f"{len(free)} free {'NIC' if len(free) == 1 else 'NICs'} of {len(self.used) + len(free)}"
            cure = "start it on another host, or give this one more dynamic vNICs or VFs"
            raise Failure(f"direct-pool has {count}, this VM needs {needed}", cure + more)
        # libvirt gives this VM the first ones. The host's own NICs are refused wherever they stand, as
        # another VM that starts at the same time could get one.
        unfit = [nic for nic in unused[:needed] if nic not in free]
        wrong = [nic for nic in unused if nic in self.others or nic in unfit]
        if wrong:
            stays = "it can't leave the pool while VMs are on it"
            message = f"direct-pool would give VMs {wrong[0]}, which is not a usable VM-FEX NIC; {stays}"
            raise Failure(message, "migrate these VMs, then try again" + more)

    def steps(self, needed):
        """Return the Steps that make it right for a VM that takes that many NICs. Raises Failure as check."""
        self.check(needed)
        # None of them is a network.update(): libvirt would forget which NICs are in use, and give them
        # out a second time.
        steps = []
        if not (self.persistent and self.is_right(self.next)):
            nics = self.in_order()
            when = ", for its next start, as VMs are on it" if self.used else ""
            line, xml = f"direct-pool defined{when}: {', '.join(nics)}", definition(nics, self.uuid)
            steps.append(Step(line, lambda conn: conn.networkDefineXML(xml)))
        restart = self.active and not self.used and not self.is_right(self.live)
        if restart:
            steps.append(Step("direct-pool stopped", stop_pool))
        if restart or not self.active:
            steps.append(Step("direct-pool started", lambda conn: conn.networkLookupByName(POOL).create()))
        if not self.autostart:
            line = "direct-pool set to autostart"
            steps.append(Step(line, lambda conn: conn.networkLookupByName(POOL).setAutostart(1)))
        return steps


def parse_network(xml):
    root = minidom.parseString(xml).documentElement
    mode = attribute(root, 'forward', 'mode') or 'none'
    if mode != 'passthrough':
        rule = f"its forward mode is {mode} instead of passthrough"
        raise Failure(f"network direct-pool is not the hook's, {rule}", "give it another name")
    [forward] = find(root, 'forward')
    interfaces = find(forward, 'interface')
    nics = {nic.getAttribute('dev'): int(nic.getAttribute('connections') or 0) for nic in interfaces}
    names = {child.localName for child in [*root.childNodes, *forward.childNodes]}
    return Network(nics, names.union(root.attributes.keys()) - KNOWN)


def definition(nics, uuid):
    """Return the XML of direct-pool with these NICs, and with the UUID that it has, if any."""
    uuid = f'<uuid>{uuid}</uuid>' if uuid else ''
    doc = minidom.parseString(f'<network><name>{POOL}</name>{uuid}<forward mode="passthrough"/></network>')
    for nic in nics:
        interface = doc.documentElement.lastChild.appendChild(doc.createElement('interface'))
        interface.setAttribute('dev', nic)
    return doc.documentElement.toxml()


def stop_pool(conn):
    # As late as possible: a VM may have come since. (One that libvirt has lost count of keeps running.)
    network = conn.networkLookupByName(POOL)
    if any(parse_network(network.XMLDesc(0)).nics.values()):
        raise Failure("a VM came onto direct-pool just when it was to restart", "try again")
    network.destroy()
