# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs in a machine: lets the tests run commands there, as root, at this port."""

import socketserver
import subprocess
from xmlrpc.server import SimpleXMLRPCServer

PORT = 2000


class Server(socketserver.ThreadingMixIn, SimpleXMLRPCServer):
    pass


def run(argv, env):
    """Run a command. Returns its exit status and what it wrote to stdout and stderr."""
    done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True)
    out, err = (output.decode('utf-8', 'backslashreplace') for output in (done.stdout, done.stderr))
    return done.returncode, out, err


if __name__ == '__main__':
    server = Server(('0.0.0.0', PORT), logRequests=False)
    server.register_function(run)
    print('ready', flush=True)
    server.serve_forever()
