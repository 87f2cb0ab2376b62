# SPDX-License-Identifier: GPL-2.0-or-later
"""vdsm-hook-vmfex-libvirt's library, without which kernels refuse what libvirt asks of VM-FEX NICs."""

LIBRARY, PACKAGE = 'libvmfex-port-profile.so', 'vdsm-hook-vmfex-libvirt'


def describe_library():
    """Return a line on whether libvirt's daemon has the library, and what to do if not, '' otherwise."""
    try:
        daemon, pid = find_daemon()
        with open(f'/proc/{pid}/maps') as maps:
            # Behind the name of a file that an upgrade has replaced stands " (deleted)".
            if any(line.endswith(f'/{LIBRARY}\n') for line in maps):
                return f"{daemon} has loaded the library of {PACKAGE}", ''
    except OSError as e:
        return f"whether libvirtd has loaded the library of {PACKAGE} is unknown ({e})", ''
    cure = f"put this host into maintenance, install it, then systemctl restart {daemon}"
    return f"{daemon} has not loaded the library of {PACKAGE}", cure


def find_daemon():
    """Return the name and PID of the daemon that runs the VMs. Raises OSError if none runs."""
    for daemon in 'virtqemud', 'libvirtd':
        try:
            with open(f'/run/{daemon}.pid') as f:
                return daemon, f.read().strip()
        except FileNotFoundError as e:
            error = e
    raise error
