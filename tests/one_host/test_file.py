# SPDX-License-Identifier: GPL-2.0-or-later
"""The file of the XML, which VDSM makes in its temporary folder and the hook replaces."""

import pytest

from tests.fake_vdsm.runner import HookError
from tests.lab.vm import VM

MOUNT = 'folder=$(dirname "$_hook_domxml"); cp "$_hook_domxml" /run/xml; mount {}; exec "$0"'


@pytest.mark.parametrize('mount, says', [
    ('-t tmpfs -o size=4k tmpfs "$folder"; cp /run/xml "$_hook_domxml"', 'No space left on device'),
    ('--bind "$folder" "$folder"; mount -o remount,ro,bind "$folder"', 'Read-only file system'),
], ids=['full', 'read-only'])
def test_file_that_cannot_be_replaced_is_named_and_no_pool_is_made(alpha, mount, says):
    vm = VM()
    with pytest.raises(HookError, match='^vmfex: /.* can\'t be replaced: {}; see .*\n$'.format(says)):
        alpha.hook('before_vm_start', vm.xml, vm.vmfex,
                   command=['unshare', '--mount', 'sh', '-c', MOUNT.format(mount)])
    assert alpha.conn.listAllNetworks() == []


def test_mode_of_the_file_stays_and_nothing_is_left_beside_it(alpha):
    vm = VM()
    _, log = alpha.hook('before_vm_start', vm.xml, vm.vmfex, command=['sh', '-c', (
        'cd "$(dirname "$_hook_domxml")"; chmod 640 "$_hook_domxml"; touch foreign.vmfex; "$0";'
        'stat -c "mode %a" "$_hook_domxml" >&2; rm foreign.vmfex')])
    assert log.endswith('mode 640\n')  # and the runner finds nothing beside it
