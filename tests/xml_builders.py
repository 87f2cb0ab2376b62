# SPDX-License-Identifier: GPL-2.0-or-later
"""NICs and domains, as small as a test can do with or in the form that the engine sends."""

import uuid
from xml.dom import minidom

BRIDGE = '<source bridge="ovirtmgmt"/>'
# A NIC's own port profile, from its vNIC profile, in the metadata.
OWN = '<ovirt-vm:custom><ovirt-vm:vmfex>{}</ovirt-vm:vmfex></ovirt-vm:custom>'
# What VDSM puts into the metadata of a VM that it starts.
HAS_RUN = '<ovirt-vm:startTime type="float">1790000000.0</ovirt-vm:startTime>'
MIRRORING = '<ovirt-vm:portMirroring><ovirt-vm:network>ovirtmgmt</ovirt-vm:network></ovirt-vm:portMirroring>'
# What the engine gives a NIC that libvirt refuses on VM-FEX.
FILTER, PORT = '<filterref filter="vdsm-no-mac-spoofing"/>', '<port isolated="yes"/>'
UNFIT = FILTER + PORT
# A NIC that is not the VM's from its start.
PLUGGED = '00:1a:4a:16:00:99'


def nic_xml(mac, children='', type='bridge', source=BRIDGE, attributes=''):
    """Return an interface element."""
    return f'<interface type="{type}"{attributes}><mac address="{mac}"/>{source}{children}</interface>'


def pool_nic_xml(mac, profile, children='', type='network', more=''):
    """Return the interface element that a NIC becomes. more are more attributes of its source."""
    virtualport = f'<virtualport type="802.1Qbh"><parameters profileid="{profile}"/></virtualport>'
    source, trust = f'<source network="direct-pool"{more}/>', ' trustGuestRxFilters="yes"'
    return nic_xml(mac, virtualport + children, type, source, trust)


def domain_xml(*nics, devices=''):
    """Return a domain with these NICs. devices are the ovirt-vm:device elements in its metadata."""
    content = f'<metadata><ovirt-vm:vm>{devices}</ovirt-vm:vm></metadata><devices>{"".join(nics)}</devices>'
    return f'<domain xmlns:ovirt-vm="http://ovirt.org/vm/1.0">{content}</domain>'


def metadata_of(mac, children):
    """Return what a domain's metadata says of a NIC, its ovirt-vm:device."""
    return f'<ovirt-vm:device alias="{alias_of(mac)}" mac_address="{mac}">{children}</ovirt-vm:device>'


def alias_of(mac):
    return f'ua-{uuid.uuid5(uuid.NAMESPACE_OID, mac)}'


def engine_nic_xml(mac, bridge='ovirtmgmt', link='up', extra='', type='bridge'):
    """Return a NIC in the engine's form, less vhost and ebtables, which build machines lack."""
    children = (
        f'<model type="virtio"/><link state="{link}"/><alias name="{alias_of(mac)}"/><mtu size="1500"/>'
        f'{extra}<tune><sndbuf>0</sndbuf></tune>'
    )
    return nic_xml(mac, children, type, f'<source bridge="{bridge}"/>')


def network_xml(nics, mode='passthrough', settings=''):
    """Return a definition of direct-pool with these NICs, and with other elements."""
    interfaces = ''.join(f'<interface dev="{nic}"/>' for nic in nics)
    forward = f'<forward mode="{mode}">{interfaces}</forward>'
    return f'<network><name>direct-pool</name>{forward}{settings}</network>'


def same(xml, other):
    """Tell whether two texts are the same XML, but for what a parser does not see."""
    return minidom.parseString(xml).toxml() == minidom.parseString(other).toxml()
