# SPDX-License-Identifier: GPL-2.0-or-later
"""What happens at each of VDSM's hook points: with a Call, to lines for the log and XML to write, or None."""

import collections
from xml.dom import minidom

from vmfex import domain
from vmfex.custom_property import parse_dictionary, parse_either
from vmfex.elements import read_xml
from vmfex.failure import Failure, exit_on_failure
from vmfex.interface import Interface
from vmfex.libvirt_connection import libvirt_connection
from vmfex.pool import prepare_pool

# What VDSM calls the hook with: the XML, a minidom document; the custom property, '' if none; the VM's UUID
Call = collections.namedtuple('Call', 'doc vmfex vm_id')


def before_vm_start(call):
    if domain.has_run(call.doc.documentElement):
        # A resume, or the restore of a snapshot's memory: the output is not used.
        return prepare_for_arrival(call)
    return put_on_pool(call.doc, parse_dictionary(call.vmfex))


def before_nic_hotplug(call):
    # VDSM passes the VM's property or, if it has none, the one of the NIC's vNIC profile.
    mac = Interface(call.doc.documentElement).mac
    ports = parse_either(call.vmfex, [mac])
    return put_on_pool(call.doc, {mac: ports[mac]} if mac in ports else {})


def prepare_for_arrival(call):
    # From another host or from a file, with its NICs on direct-pool already.
    return prepare_pool(len(domain.find_on_pool(call.doc.documentElement))), None


def before_update_device(call):
    # Only the link is safe to switch: the update is made from the running NIC, and all else has to wait.
    asked = Interface(call.doc.documentElement)
    # A hostdev NIC may be the other half of a failover pair, with the MAC address of ours.
    if asked.type not in ('bridge', 'network', 'direct'):
        return [], None
    with libvirt_connection() as conn:
        running = conn.lookupByUUIDString(call.vm_id)  # keep it: VDSM's wrapper refers to it weakly
        for interface in domain.find_on_pool(minidom.parseString(running.XMLDesc(0)).documentElement):
            if interface.mac == asked.mac:
                return [interface.make_link_update(asked, conn.getLibVersion())], interface.element
    return [], None


HOOK_POINTS = {
    'before_vm_start': before_vm_start,
    'before_vm_migrate_destination': prepare_for_arrival,
    'before_vm_dehibernate': prepare_for_arrival,
    'before_nic_hotplug': before_nic_hotplug,
    'before_update_device': before_update_device,
}


def put_on_pool(doc, ports):
    """Move the NICs in ports, a dict of MAC address to Port, and prepare direct-pool."""
    moved, log = domain.move_interfaces(doc.documentElement, ports)
    log += prepare_pool(len(domain.find_on_pool(doc.documentElement)))
    return log, doc if moved else None


@exit_on_failure()
def run(hook_point, environment):
    """Do what VDSM calls the hook for, at the hook point of that name and with that environment."""
    if hook_point not in HOOK_POINTS or '_hook_domxml' not in environment:
        message = f"only VDSM can call this, in the folder of a hook point ({', '.join(HOOK_POINTS)})"
        raise Failure(message, "use --test")
    import hooking

    doc = read_xml("a hook that ran before this one may have written it", hooking.read_domxml)
    call = Call(doc, environment.get('vmfex', ''), environment.get('vmId', ''))
    log, xml = HOOK_POINTS[hook_point](call)
    if xml:
        hooking.write_domxml(xml)
    for line in log:
        hooking.log(f'vmfex: {line}')
