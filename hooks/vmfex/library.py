# SPDX-License-Identifier: GPL-2.0-or-later
"""vdsm-hook-vmfex-libvirt's library, without which kernels refuse what libvirt asks of VM-FEX NICs."""

LIBRARY, PACKAGE = 'libvmfex-port-profile.so', 'vdsm-hook-vmfex-libvirt'


def describe_library():
    """Return a line on whether libvirt's daemon has the library, and what to do if not, '' otherwise."""
    unknown = "neither libvirtd nor virtqemud runs"
    for daemon in 'libvirtd', 'virtqemud':
        try:
            with open(f'/run/{daemon}.pid') as pid, open(f'/proc/{pid.read().strip()}/maps') as maps:
                # The kernel appends " (deleted)" to the name of a file that an upgrade has replaced.
                if any(line.endswith(f'/{LIBRARY}\n') for line in maps):
                    return f"{daemon} has loaded the library of {PACKAGE}", ''
            cure = f"put this host into maintenance, install it, then systemctl restart {daemon}"
            return f"{daemon} has not loaded the library of {PACKAGE}", cure
        except FileNotFoundError:
            continue
        except OSError as e:
            unknown = e
    return f"whether libvirtd has loaded the library of {PACKAGE} is unknown ({unknown})", ''
