# SPDX-License-Identifier: GPL-2.0-or-later

import time


def wait_for(condition, seconds=60):
    """Call condition, for what has no event to wait for, until it returns something true: that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(0.01)
    raise TimeoutError(f'{seconds} seconds')
