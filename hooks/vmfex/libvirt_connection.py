# SPDX-License-Identifier: GPL-2.0-or-later
"""VDSM's connection to libvirt."""

import contextlib
import logging

from vmfex.failure import Failure


@contextlib.contextmanager
def libvirt_connection():
    """Give VDSM's virConnect. Raises Failure if libvirt fails, also in the body of the with statement."""
    import libvirt
    from vdsm.common import libvirtconnection

    # libvirt's binding would print every error to stderr, and VDSM's logging would, too.
    libvirt.registerErrorHandler(lambda context, error: None, None)
    logging.disable(logging.CRITICAL)
    try:
        # By default VDSM ends the process when libvirtd goes away, without a word.
        yield libvirtconnection.get(killOnFailure=False)
    except libvirt.libvirtError as e:
        text = ' '.join(str(e).split())  # on one line
        raise Failure("libvirt failed", "check libvirt on this host, then try again", detail=text) from None
