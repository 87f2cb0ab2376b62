# SPDX-License-Identifier: GPL-2.0-or-later
"""What happens at each of VDSM's hook points."""

import os
from xml.dom import minidom

from vmfex import nics
from vmfex.custom_property import parse_dictionary, parse_either
from vmfex.elements import read_xml
from vmfex.failure import Failure, exit_on_failure
from vmfex.libvirt_connection import libvirt_connection
from vmfex.pool import prepare_pool


def before_vm_start(doc):
    if doc.documentElement.hasAttribute('id'):
        # A resume, with the XML of the suspended VM, and the output is not used.
        return before_vm_arrives(doc)
    return put_on_pool(doc, parse_dictionary(os.environ.get('vmfex', '')))


def before_nic_hotplug(doc):
    # VDSM passes the VM's property or, if it has none, the one of the NIC's vNIC profile.
    mac = nics.mac_of(doc.documentElement)
    profiles = parse_either(os.environ.get('vmfex', ''), [mac])
    return put_on_pool(doc, {mac: profiles[mac]} if mac in profiles else {})


def before_vm_arrives(doc):
    # From another host or from a suspend, with its NICs on direct-pool already.
    return prepare_pool(len(nics.find_on_pool(doc.documentElement))), None


def before_update_device(doc):
    # Only the link is safe to switch: the update is made from the running NIC, and all else has to wait.
    asked = doc.documentElement
    # A hostdev NIC may be the other half of a failover pair, with the MAC address of ours.
    if asked.getAttribute('type') not in ('bridge', 'network', 'direct'):
        return [], None
    with libvirt_connection() as conn:
        domain = conn.lookupByUUIDString(os.environ.get('vmId', ''))
        for running in nics.find_on_pool(minidom.parseString(domain.XMLDesc(0)).documentElement):
            if nics.mac_of(running) == nics.mac_of(asked):
                return [nics.set_link(running, asked, conn.getLibVersion())], running
    return [], None


# Each takes the XML, a minidom document, and returns lines for the log and what to write, or None.
HOOK_POINTS = {
    'before_vm_start': before_vm_start,
    'before_vm_migrate_destination': before_vm_arrives,
    'before_vm_dehibernate': before_vm_arrives,
    'before_nic_hotplug': before_nic_hotplug,
    'before_update_device': before_update_device,
}


def put_on_pool(doc, profiles):
    """Move the NICs in profiles, a dict of MAC address to port profile, and prepare direct-pool."""
    moved, log = nics.move_all(doc.documentElement, profiles)
    log += prepare_pool(len(nics.find_on_pool(doc.documentElement)))
    return log, doc if moved else None


@exit_on_failure
def run(hook_point):
    """Do what VDSM calls the hook for, at the hook point of that name."""
    if hook_point not in HOOK_POINTS or '_hook_domxml' not in os.environ:
        names = ', '.join(HOOK_POINTS)
        raise Failure(f"only VDSM can call this, in the folder of a hook point ({names}): use --test")
    import hooking

    doc = read_xml("a hook that ran before this one may have written it", hooking.read_domxml)
    log, xml = HOOK_POINTS[hook_point](doc)
    if xml:
        hooking.write_domxml(xml)
    for line in log:
        hooking.log(f'vmfex: {line}')
