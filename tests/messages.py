# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/messages.md: each line of the hook that a test sees has its row there, and each row is seen."""

import os
import re
import sys

from tests.hook import TREE

MESSAGES = os.path.join(TREE, 'docs', 'messages.md')
# In the environment, the path of a file that gets a line for each row that was seen.
SEEN = 'VMFEX_MESSAGES_SEEN'


def rows(title, path=MESSAGES):
    """Return the messages in the table with that title, with … for what varies."""
    with open(path, encoding='utf-8') as f:
        table = re.search(rf'\| {title} \|.*\n\|.*\n((?:\|.*\n)+)', f.read()).group(1)
    return [re.match(r'\| `(.*?)` \|', line).group(1) for line in table.splitlines()]


def matches(row, line):
    return re.fullmatch('.*'.join(map(re.escape, row.split('…'))), line)


ERRORS, LOG = rows('Error'), rows('Line')


def check_stderr(stderr, failed):
    """Check that what the hook wrote to stderr is in the table for that: of errors, or of the log."""
    lines = stderr.splitlines()
    if 'vmfex: this is a bug' in stderr:
        del lines[1:]  # the traceback
    for line in lines:
        assert line.startswith('vmfex: '), line
        line = line[len('vmfex: ') :]
        found = [row for row in (ERRORS if failed else LOG) if matches(row, line)]
        assert len(found) == 1, f'docs/messages.md has {found} for {line}'
        if SEEN in os.environ:
            with open(os.environ[SEEN], 'a', encoding='utf-8') as seen:
                seen.write(found[0] + '\n')


if __name__ == '__main__':  # after all tests, by make check
    with open(os.environ[SEEN], encoding='utf-8') as seen:
        unseen = {*ERRORS, *LOG}.difference(seen.read().splitlines())
    sys.exit('\n'.join(f"no test saw this message of docs/messages.md: {row}" for row in unseen) or 0)
