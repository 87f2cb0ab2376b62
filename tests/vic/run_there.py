# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a command on a machine as if it were here: run_there.py URL COMMAND [ARGUMENT]..."""

import os
import sys
import xmlrpc.client

status, out, err = xmlrpc.client.ServerProxy(sys.argv[1]).run(sys.argv[2:], dict(os.environ))
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(status)
