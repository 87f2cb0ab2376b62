# SPDX-License-Identifier: GPL-2.0-or-later

import glob
import os
import subprocess
import sys

import pytest

# So that tests can import the hook's modules, vmfex.*, before and after tests.*, which pytest's path has.
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'hooks'))

from tests.hook import INSTALLED, TREE
from tests.vdsm_runner import PLAIN, find_vdsm


def pytest_report_header(config):
    names = {None: 'installed', PLAIN: 'the plain fake'}
    return f"VDSM: {names.get(find_vdsm(), find_vdsm())}"


# tests/unit does without all of these. The lab's modules need libvirt: they are imported where they are used.


@pytest.fixture(scope='session')
def fabric_library(tmp_path_factory):
    """The path of the fabric's library, which has the port profile library beside it."""
    from tests.lab.fabric import compile_fabric

    library = str(tmp_path_factory.mktemp('fabric') / 'fabric.so')
    compile_fabric(library)
    return library


@pytest.fixture(scope='session')
def hooks_by_make(tmp_path_factory):
    """The folder of the hook points as make install makes it."""
    root = str(tmp_path_factory.mktemp('make-install'))
    subprocess.run(['make', '-s', '-C', TREE, 'install', 'DESTDIR=' + root], check=True)
    return root + INSTALLED


@pytest.fixture(scope='session')
def source_tree(tmp_path_factory):
    """A clone of this tree with its files as they are now, for what builds in the tree it is in."""
    top = str(tmp_path_factory.mktemp('source'))
    files = subprocess.check_output(['git', 'ls-files', '-z'], cwd=TREE)
    subprocess.run(['xargs', '-0', 'cp', '--parents', '-P', '-t', top], check=True, cwd=TREE, input=files)
    for command in 'init -q', 'add -A', '-c user.name=test -c user.email=test commit -qm all':
        subprocess.run(['git', *command.split()], check=True, cwd=top)
    return top


@pytest.fixture(scope='session')
def rpm(source_tree):
    """The path of the hook's RPM."""
    subprocess.run(['make', '-s', 'rpm'], check=True, cwd=source_tree)
    [path] = glob.glob(source_tree + '/rpmbuild/RPMS/noarch/*.rpm')
    return path


@pytest.fixture(scope='session')
def library_rpm(rpm):
    """The path of the RPM with libvirtd's library."""
    [path] = glob.glob(os.path.dirname(rpm) + '/../*/vdsm-hook-vmfex-libvirt-[0-9]*.rpm')
    return path


@pytest.fixture
def fabric(tmp_path):
    """The fabric that alpha and beta are on."""
    from tests.lab.fabric import Fabric

    return Fabric(str(tmp_path / 'fabric'))


@pytest.fixture
def kinds(request):
    """The kinds of alpha and beta, a pair: the marks in tests/lab/kinds.py set it."""
    from tests.lab.hosts import VNICS

    return getattr(request, 'param', (VNICS, VNICS))


@pytest.fixture
def make_host(fabric, fabric_library, hooks_by_make, tmp_path):
    """Makes a host on the fabric, with the hook from make install; enter it to have it run."""
    from tests.lab.hosts import Host

    parts = hooks_by_make, fabric_library, fabric
    return lambda name, kind: Host(name, str(tmp_path / name), *parts, kind=kind)


@pytest.fixture
def alpha(make_host, kinds):
    """A host with VM-FEX NICs eth3 to eth11."""
    with make_host('alpha', kinds[0]) as host:
        yield host


@pytest.fixture
def beta(make_host, kinds):
    """Another one on the same fabric, with VM-FEX NICs eth13 to eth21."""
    with make_host('beta', kinds[1]) as host:
        yield host


def pytest_addoption(parser):
    # pytest-timeout's own in pytest.ini: pytest warns of them if it is not there, as where RPMs are built.
    for name in 'timeout', 'timeout_method':
        parser.addini(name, "")
