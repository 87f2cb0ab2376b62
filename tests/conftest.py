# SPDX-License-Identifier: GPL-2.0-or-later

import glob
import os
import subprocess
import sys

import pytest

TESTS = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [TESTS, os.path.join(TESTS, 'lab')]
sys.dont_write_bytecode = True

import hook  # noqa: E402
import vdsm_runner  # noqa: E402
from hook import HOOKS  # noqa: E402

INSTALLED = '/usr/libexec/vdsm/hooks'


def pytest_report_header(config):
    vdsm = vdsm_runner.find_vdsm()
    return 'VDSM: {}'.format('installed' if vdsm is None else
                             'stand-in' if vdsm == vdsm_runner.STAND_IN else vdsm)


@pytest.fixture(scope='session')
def vmfex():
    """The hook as a module, for its functions."""
    return hook.load()


@pytest.fixture(scope='session')
def domain_xml():
    """A whole domain as the engine sends it, with NICs of all kinds."""
    with open(os.path.join(TESTS, 'data', 'domain.xml'), encoding='utf-8') as f:
        return f.read()


@pytest.fixture
def run_hook():
    """Calls the hooks of a hook point as VDSM does. Returns the XML and the log, or raises."""
    def run(point, xml, vmfex=None, **kwargs):
        kwargs.setdefault('vdsm', vdsm_runner.find_vdsm())
        return vdsm_runner.run_hooks(os.path.join(HOOKS, point), xml,
                                     {} if vmfex is None else {'vmfex': vmfex}, **kwargs)
    return run


# Below: real libvirtds. They need root, and their modules are only imported where they are used.

ALPHA = ['eth{}'.format(i) for i in range(3, 12)]


def pytest_collection_modifyitems(items):
    if os.geteuid() != 0:
        for item in items:
            if {'host', 'bare_host', 'lab'} & set(item.fixturenames):
                item.add_marker(pytest.mark.skip(reason='needs root, for its own namespaces'))


@pytest.fixture(scope='session')
def fabric_library(tmp_path_factory):
    from fabric import compile_fabric

    library = str(tmp_path_factory.mktemp('fabric') / 'fabric.so')
    compile_fabric(library)
    return library


@pytest.fixture(scope='session')
def hooks_by_make(tmp_path_factory):
    """The folder of the hook points as make install makes it."""
    root = str(tmp_path_factory.mktemp('make-install'))
    subprocess.run(['make', '-s', '-C', os.path.dirname(TESTS), 'install', 'DESTDIR=' + root],
                   check=True)
    return root + INSTALLED


@pytest.fixture(scope='session')
def source_tree(tmp_path_factory):
    """A clone of this tree with its files as they are now, for what builds in the tree it is in."""
    top = str(tmp_path_factory.mktemp('source'))
    tree = os.path.dirname(TESTS)
    files = subprocess.check_output(['git', 'ls-files', '-z'], cwd=tree)
    subprocess.run(['xargs', '-0', 'cp', '--parents', '-P', '-t', top], check=True, cwd=tree,
                   input=files)
    for command in (['init', '-q'], ['add', '-A'],
                    ['-c', 'user.name=test', '-c', 'user.email=test', 'commit', '-qm', 'all']):
        subprocess.run(['git', *command], check=True, cwd=top)
    return top


@pytest.fixture(scope='session')
def rpm(source_tree):
    """The path of the RPM."""
    done = subprocess.run(['make', '-s', 'rpm'], cwd=source_tree, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout.decode()
    [path] = glob.glob(source_tree + '/rpmbuild/RPMS/noarch/*.rpm')
    return path


@pytest.fixture(scope='session')
def hooks_by_rpm(tmp_path_factory, rpm):
    """The folder of the hook points as the RPM installs it in an empty root."""
    root = str(tmp_path_factory.mktemp('rpm-root'))
    subprocess.run(['rpm', '--install', '--nodeps', '--root', root, rpm], check=True)
    return root + INSTALLED


@pytest.fixture
def lab(request, fabric_library, tmp_path):
    """Two hosts on a fabric, alpha and beta, with the hook installed by make install, or by RPM."""
    from lab import Lab

    hooks = request.getfixturevalue(getattr(request, 'param', 'hooks_by_make'))
    with Lab(str(tmp_path), fabric_library, hooks) as lab:
        yield lab


@pytest.fixture
def alpha(lab):
    return lab.hosts['alpha']


@pytest.fixture
def beta(lab):
    return lab.hosts['beta']


@pytest.fixture
def host(fabric_library, tmp_path):
    """A host on a fabric, with NICs eth3 to eth11 and the hooks of this source tree."""
    from fabric import Fabric
    from host import Host

    fabric = Fabric(str(tmp_path / 'fabric'))
    with Host('alpha', ALPHA, str(tmp_path / 'alpha'), HOOKS, fabric_library, fabric=fabric) as host:
        yield host


@pytest.fixture
def bare_host(fabric_library, tmp_path):
    """The same without a fabric: no VM can start on VM-FEX there."""
    from host import Host

    with Host('alpha', ALPHA, str(tmp_path / 'alpha'), HOOKS, fabric_library) as host:
        yield host


REPORT = pytest.StashKey() if hasattr(pytest, 'StashKey') else 'report'


@pytest.fixture
def report(request):
    """Takes lines that are shown at the end of the run."""
    return request.config.stash.setdefault(REPORT, []).append


def pytest_terminal_summary(terminalreporter):
    config = terminalreporter.config
    lab = [report for reports in terminalreporter.stats.values() for report in reports
           if 'tests/lab/' in getattr(report, 'nodeid', '') and hasattr(report, 'duration')]
    lines = config.stash.get(REPORT, []) if hasattr(config, 'stash') else []
    if lab:
        lines = [*lines, 'the lab took {:.0f} seconds'.format(sum(r.duration for r in lab))]
    if lines:
        terminalreporter.section('the lab')
        for line in lines:
            terminalreporter.write_line(line)
