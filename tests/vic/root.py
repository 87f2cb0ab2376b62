# SPDX-License-Identifier: GPL-2.0-or-later
"""The root of machines: what this one has of some packages and of all that they need, and its /etc."""

import functools
import glob
import os
import subprocess

from tests.hook import output

PACKAGES = (
    *('base-files', 'base-passwd', 'coreutils', 'dash', 'util-linux', 'kmod', 'iproute2', 'busybox-static'),
    *('libvirt-daemon-system', 'python3-libvirt', 'qemu-system-x86'),
)


def list_files(*packages):
    """Return the paths of the files of installed packages and of those they depend on, and all of /etc."""
    depends = output('apt-cache', 'depends', '--recurse', '--important', '--installed', *packages)
    names = [line for line in depends.splitlines() if line[0] not in ' <']
    # Some are alternatives to what is installed.
    query = ['dpkg-query', '--listfiles', *names]
    listed = subprocess.run(query, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    files = {real_path(path) for path in listed.stdout.splitlines() if path != '/.' and os.path.lexists(path)}
    # Python need not compile its modules again: that is slow there.
    folders = {os.path.dirname(path) for path in files if path.endswith('.py')}
    caches = [path for folder in folders for path in glob.glob(folder + '/__pycache__/*.pyc')]
    # No package has the commands that are links to one of several alternatives.
    links = [
        path
        for path in glob.glob('/usr/*bin/*')
        if os.path.islink(path) and '/etc/alternatives/' in os.readlink(path)
    ]
    return sorted(files.union(caches, links, find('/etc')))


def find(folder):
    """Return the paths of a folder and of all that is in it."""
    return [real_path(path) for path in output('find', folder, '-print0').split('\0')[:-1]]


def real_path(path):
    """Return a path that leads through no symbolic link, but may be one."""
    return os.path.join(real_folder(os.path.dirname(path)), os.path.basename(path))


real_folder = functools.lru_cache(maxsize=None)(os.path.realpath)


def make_squashfs(path, files):
    """Make an image of files, given by their paths from the root, and of the folders they are in."""
    names = ''.join(file[1:] + '\0' for file in files)
    options = ['-cpiostyle0', '-no-compression', '-no-progress', '-quiet']
    subprocess.run(['mksquashfs', '-', path, *options], input=names.encode(), cwd='/', check=True)
