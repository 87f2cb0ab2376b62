# SPDX-License-Identifier: GPL-2.0-or-later
"""The RPMs on a host, by dnf and by the engine's tasks: a folder, with stand-ins for what they need."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.hook import TREE, output

HOOK, LIBRARY, DEV = 'vdsm-hook-vmfex', 'vdsm-hook-vmfex-libvirt', 'vdsm-hook-vmfex-dev'
# What the spec of each says.
STANDINS = {
    'vdsm-4.50.5': 'Requires: python3-libvirt libvirt-daemon-driver-qemu',
    'vdsm-4.40.60': f'Requires: {DEV}',
    f'{DEV}-4.50.5': '',
    f'{HOOK}-1.3.0': f'Conflicts: {DEV}',
    f'{LIBRARY}-1.3.0': '%postun\nsystemctl daemon-reload',
    f'{LIBRARY}-debuginfo-1.3.0': '',
}
SPEC = """
Name: {}
Version: {}
Release: 0
Summary: A stand-in
License: none
BuildArch: noarch
{}
%description
%files
"""
CONF = '[main]\nreposdir=/nowhere\nplugins=0\nbest=1\nclean_requirements_on_remove=1\n'
DNF = '#!/bin/sh\nexec /usr/bin/dnf -y -c "$ROOT/dnf.conf" --releasever=9 --installroot="$ROOT" "$@"\n'
SYSTEMCTL = """#!/bin/sh
log=${0%/*}/../systemctl.log
[ "$1" = show ] || { echo "$*" >>"$log"; exit; }
echo LoadState=loaded
tail -n 1 "$log" | grep -q ^stop && echo ActiveState=inactive || echo ActiveState=active
"""
# The end of oVirt's own playbook. Newer releases of Ansible want to know which dnf it is.
PLAY = """
- hosts: all
  gather_facts: false
  vars: {root: "{{ lookup('env', 'ROOT') }}", ansible_python_interpreter: /usr/bin/python3}
  module_defaults:
    ansible.builtin.dnf: {installroot: "{{ root }}", conf_file: "{{ root }}/dnf.conf"}
  tasks:
    - ansible.builtin.set_fact: {pkg_mgr: dnf4, cacheable: true}
    - ansible.builtin.include_tasks: /etc/ovirt-engine/ansible/ovirt-host-deploy-post-tasks.yml
"""
ANSIBLE = """
cd ..
mount --bind cache /var/cache
mount -t overlay -o lowerdir=etc:/etc overlay /etc
ansible-playbook -c local -i host, -e host_deploy_cluster_name={} play.yml
"""
README = Path(TREE, 'README.md').read_text(encoding='utf-8')
[INSTALL] = re.findall('^    (dnf install [.].*vmfex.*)', README, re.MULTILINE)
[FROM_DEV] = re.findall('^    (dnf install --allowerasing .*)', README, re.MULTILINE)
[REMOVE] = re.findall('`(dnf remove [^`]*)`', README)


class Host:
    """A host, in a folder: its root, RPMs, stand-ins in noarch, commands in bin, and what its engine has."""

    def __init__(self, folder):
        self.folder, self.root = folder, folder / 'root'
        self.env = {**os.environ, 'ROOT': str(self.root), 'PATH': f'{folder}/bin:{os.environ["PATH"]}'}

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def run(self, script, fails=''):
        """Run a script in the folder with the RPMs. Returns what it writes, which has fails if it fails."""
        command, folder = ['unshare', '--mount', 'bash', '-ec', script], self.folder / 'rpms'
        pipes = {'stdout': subprocess.PIPE, 'stderr': subprocess.STDOUT, 'text': True}
        done = subprocess.run(command, cwd=folder, env=self.env, **pipes)
        assert bool(done.returncode) == bool(fails) and fails in done.stdout, done.stdout
        assert fails or not re.search('(?i)error:|scriptlet fail|rpm-tmp', done.stdout), done.stdout
        return done.stdout

    def install(self, *standins):
        self.run(' '.join(['dnf install', *(f'../noarch/{name}-0.noarch.rpm' for name in standins)]))

    def packages(self):
        """Return those of VM-FEX that are installed, as name-version-release."""
        return set(re.findall('.*vmfex.*', output('rpm', '--root', self.root, '-qa', '--qf', '%{NVR}\n')))

    def deploy(self, cluster, **kwargs):
        """Install the host in a cluster, as the engine does. Returns how many of the tasks changed it."""
        if not shutil.which('ansible-playbook'):
            pytest.skip('this release has no ansible-core')
        out = self.run(ANSIBLE.format(cluster), **kwargs)
        return int(re.search(r'changed=(\d+)', out).group(1))


@pytest.fixture(scope='session')
def sample(tmp_path_factory, rpm, library_rpm):
    """A host with VDSM. It has some more RPMs, the engine has the right ones alone."""
    host = Host(tmp_path_factory.mktemp('host'))
    engine = host.folder / 'etc/ovirt-engine/ansible'
    for folder in engine / HOOK, host.folder / 'cache':
        folder.mkdir(parents=True)
    for path in rpm, library_rpm:
        shutil.copy(path, engine / HOOK)
    rpms = shutil.copytree(engine / HOOK, host.folder / 'rpms')
    shutil.copy(TREE + '/engine/ovirt-host-deploy-post-tasks.yml', engine)
    files = {'bin/dnf': DNF, 'root/dnf.conf': CONF, 'root/dev/null': '', 'play.yml': PLAY}
    for name, text in {**files, 'bin/systemctl': SYSTEMCTL, 'root/bin/systemctl': SYSTEMCTL}.items():
        host.write(name, text)
    shutil.copy(shutil.which('busybox'), host.root / 'bin/sh')
    needs = output('rpm', '-qp', '--requires', rpm, library_rpm).splitlines()
    needs = ' '.join(line for line in needs if not line.startswith(('rpmlib(', 'vdsm')))
    for name, line in {'host-1': f'Provides: {needs}', **STANDINS}.items():
        host.write('spec', SPEC.format(*name.rsplit('-', 1), line))
        folders = '--define', f'_topdir {host.folder}', '--define', f'_rpmdir {host.folder}'
        output('rpmbuild', '--quiet', '--nodeps', '-bb', *folders, host.folder / 'spec')
    for name in f'{DEV}-4.50.5', f'{LIBRARY}-debuginfo-1.3.0':
        shutil.copy(host.folder / f'noarch/{name}-0.noarch.rpm', rpms)
    host.install('host-1', 'vdsm-4.50.5')
    return host


@pytest.fixture
def host(sample, tmp_path):
    """A host with VDSM."""
    return Host(Path(shutil.copytree(sample.folder, tmp_path / 'host')))


@pytest.fixture
def both(rpm, library_rpm):
    return {os.path.basename(path).rsplit('.', 2)[0] for path in (rpm, library_rpm)}


def test_dnf_installs_both_once_and_removes_them(host, both):
    host.run(INSTALL)
    assert host.packages() == both
    assert 'Nothing to do' in host.run(INSTALL)
    host.run(REMOVE)
    assert not host.packages() and not list(host.root.rglob('*vmfex*'))
    assert (host.root / 'systemctl.log').read_text() == 'daemon-reload\n' * 2


@pytest.mark.parametrize('old', [[HOOK], [HOOK, LIBRARY]], ids=['hook', 'both'])
def test_dnf_upgrades_older_ones(host, both, old):
    host.install(*(f'{name}-1.3.0' for name in old))
    host.run(INSTALL)
    assert host.packages() == both
    assert (host.root / 'systemctl.log').read_text() == 'daemon-reload\n' * len(old)


def test_dnf_replaces_vmfex_dev_only_if_asked_to(host, both):
    host.install(f'{DEV}-4.50.5')
    host.run('dnf install ./vdsm-hook-vmfex-libvirt-1*')
    host.run(INSTALL, fails=f'conflicts with {DEV}')
    host.run(FROM_DEV)
    assert host.packages() == both


def test_dnf_refuses_the_hook_without_what_it_needs(host):
    host.run('dnf install ./vdsm-hook-vmfex-1*', fails=f'nothing provides {LIBRARY} = ')
    host.run('dnf remove vdsm')
    host.install('vdsm-4.40.60', f'{DEV}-4.50.5')
    host.run(FROM_DEV, fails='nothing provides vdsm >= 4.40.70.1')


def test_unsigned_rpms_are_installed_where_dnf_wants_a_signature(host, both):
    host.write('root/dnf.conf', CONF + 'localpkg_gpgcheck=1\n')
    host.run(INSTALL, fails='is not signed')
    [option] = re.findall('`(--setopt=localpkg_gpgcheck=0)`', README)
    host.run(f'{INSTALL} {option}')
    assert host.packages() == both


def test_engine_installs_both_once_in_its_cluster(host, both):
    assert host.deploy('Other') == 0
    assert not host.packages()
    assert host.deploy('YOUR-CLUSTER') == 3
    assert host.packages() == both
    assert (host.folder / 'systemctl.log').read_text() == 'stop libvirtd\nstart vdsmd\n'
    assert host.deploy('YOUR-CLUSTER') == 0


def test_engine_that_lacks_an_rpm_does_not_install_the_host(host):
    [library] = host.folder.glob('etc/ovirt-engine/ansible/*/*-libvirt-*')
    library.unlink()
    host.deploy('YOUR-CLUSTER', fails='should have two RPMs, not ')
    assert not host.packages()
