# SPDX-License-Identifier: GPL-2.0-or-later
"""Definitions of direct-pool, as somebody else may have made them."""


def network_xml(nics, mode='passthrough', settings=''):
    """Return a definition of direct-pool with these NICs, and with other elements."""
    interfaces = ''.join(f"<interface dev='{nic}'/>" for nic in nics)
    return (
        f"<network><name>direct-pool</name><forward mode='{mode}'>{interfaces}</forward>{settings}</network>"
    )
