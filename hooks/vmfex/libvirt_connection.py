# SPDX-License-Identifier: GPL-2.0-or-later
"""VDSM's connection to libvirt."""

import contextlib
import logging

from vmfex.failure import Failure


@contextlib.contextmanager
def libvirt_connection():
    """Give VDSM's virConnect. Raises Failure for each error of libvirt meanwhile."""
    import libvirt
    from vdsm.common import libvirtconnection

    # stderr is for the hook's lines: the binding prints every error to it by itself, and VDSM's log,
    # which has no file here, that its connection broke.
    libvirt.registerErrorHandler(lambda context, error: None, None)
    logging.disable(logging.CRITICAL)
    try:
        # By default VDSM ends the process when libvirtd goes away, without a word.
        yield libvirtconnection.get(killOnFailure=False)
    except libvirt.libvirtError as e:
        message = ' '.join(str(e).split())
        raise Failure(f"libvirt failed: {message}; check libvirt on this host, then try again") from None
