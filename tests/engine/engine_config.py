# SPDX-License-Identifier: GPL-2.0-or-later
"""A small engine-config, for machines without the engine: engine_config.py FILE ARG...

It does what the engine's own does with the two options of custom properties: get and set at a version.
The file has lines such as UserDefinedVMProperties/4.7=a=^b$. All messages go to stdout.
"""

import re
import sys
from pathlib import Path

PROPERTIES = r'(\w+=[^;]*(;\w+=[^;]*)*;?)?'
# Each type once at most, and in this order.
TYPES = 'disk interface video rng'.split()
SYNTAX = {
    'UserDefinedVMProperties': PROPERTIES,
    'CustomDeviceProperties': ''.join(rf'({{type={kind};prop={{{PROPERTIES}}}}};?)?' for kind in TYPES),
}


def main(file, action='', argument='', *others):
    options = dict(line.split('=', 1) for line in file.read_text().splitlines())
    if action not in ('-g', '-s'):
        sys.exit(f"Action verb must come first, and '{action}' is not an action.")
    name, equals, value = argument.partition('=')
    if action == '-s' and not equals:
        sys.exit('Argument for set/merge action must be in format of key=value.')
    [version] = [other[len('--cver=') :] for other in others if other.startswith('--cver=')]
    key = f'{name}/{version}'
    if action == '-g':
        if key not in options:
            sys.exit(f"Error fetching {name} value: no such entry with version '{version}'.")
        print(options[key])
        return
    if not re.fullmatch(SYNTAX[name], value):
        sys.exit(f'Cannot set value {value} to key {name}. Invalid syntax')
    if key not in options:
        sys.exit(f"Error setting {name}'s value. No such entry with version {version}.")
    options[key] = value
    file.write_text(''.join(f'{key}={value}\n' for key, value in options.items()))


if __name__ == '__main__':
    sys.stderr = sys.stdout  # sys.exit's messages, too
    main(Path(sys.argv[1]), *sys.argv[2:])
