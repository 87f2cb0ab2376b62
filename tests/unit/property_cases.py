# SPDX-License-Identifier: GPL-2.0-or-later
"""Right and wrong values of the property, as data: for the hook, and for the expression of define-vmfex."""

A, B = '00:1a:4a:16:01:51', '00:1a:4a:16:01:52'

# id: (value, dictionary)
RIGHT = {
    'empty': ('', {}),
    'blank': (' \t\n\r\f\v', {}),
    'empty-dictionary': ('{}', {}),
    'blank-dictionary': (' { \n} ', {}),
    'python-quotes': ("{'00:1a:4a:16:01:51':'Profile1'}", {A: 'Profile1'}),
    'json-quotes': ('{"00:1a:4a:16:01:51": "Profile1"}', {A: 'Profile1'}),
    'mixed-quotes': ('''{'00:1a:4a:16:01:51': "Profile1"}''', {A: 'Profile1'}),
    'spaces-everywhere': (" { '00:1a:4a:16:01:51'\t:\n'P' , '00:1a:4a:16:01:52' : 'P' } ", {A: 'P', B: 'P'}),
    'comma-at-the-end': ("{'00:1a:4a:16:01:51':'P1' , }", {A: 'P1'}),
    'any-six-octets': ("{'FF:ff:aB:Cd:90:0e':'P1'}", {'ff:ff:ab:cd:90:0e': 'P1'}),
    'all-characters': ("{'00:1a:4a:16:01:51':'aZ09  -_:.'}", {A: 'aZ09  -_:.'}),
    'one-character': ("{'00:1a:4a:16:01:51':'.'}", {A: '.'}),
    '39-bytes': ("{'00:1a:4a:16:01:51':'" + 39 * 'p' + "'}", {A: 39 * 'p'}),
    'profile-like-the-next-mac': (f"{{'{A}':'{B}','{B}':'P2'}}", {A: B, B: 'P2'}),
}

# id: (value, what the line must say)
WRONG = {
    'bare-profile': ('Profile1', "is not a dictionary: 'Profile1'"),
    'foreign-space': ('\u00a0', 'is not a dictionary'),
    'foreign-space-inside': ('{\u00a0}', 'is malformed at'),
    'foreign-space-between': ("{'00:1a:4a:16:01:51'\u00a0:'P1'}", 'is malformed at'),
    'set': ("{'00:1a:4a:16:01:51'}", "is malformed at \"'00:1a:4a:16:01:51'\""),
    'not-closed': ("{'00:1a:4a:16:01:51':'P1'", 'is not a dictionary'),
    'not-opened': ("'00:1a:4a:16:01:51':'P1'}", 'is not a dictionary'),
    'quote-not-closed': ("{'00:1a:4a:16:01:51':'P1}", 'is malformed at'),
    'no-colon': ("{'00:1a:4a:16:01:51' 'P1'}", 'is malformed at'),
    'no-comma': ("{'00:1a:4a:16:01:51':'P1' '00:1a:4a:16:01:52':'P2'}", 'is malformed at'),
    'two-commas': ("{'00:1a:4a:16:01:51':'P1',,}", "is malformed at ','"),
    'text-behind': ("{'00:1a:4a:16:01:51':'P1'} {}", 'is malformed at'),
    'no-quotes': ("{'00:1a:4a:16:01:51':Profile1}", 'is malformed at'),
    'key-without-quotes': ("{5:'P1'}", 'is malformed at'),
    'list': ("{'00:1a:4a:16:01:51':['P1']}", 'is malformed at'),
    '100-kB-of-braces': (50000 * '{' + 50000 * '}', 'is malformed at'),
    '100-kB-of-brackets': (50000 * '[' + 50000 * ']', 'is not a dictionary'),
    'long-key': (f"{{'{A * 20}':'P1'}}", 'is not a MAC address'),
    'seven-octets': ("{'00:1a:4a:16:01:51:52':'P1'}", "'00:1a:4a:16:01:51:52' is not a MAC address"),
    'five-octets': ("{'00:1a:4a:16:01':'P1'}", 'is not a MAC address'),
    'dashes': ("{'00-1a-4a-16-01-51':'P1'}", "'00-1a-4a-16-01-51' is not a MAC address"),
    'no-hexadecimal': ("{'00:1a:4a:16:01:5g':'P1'}", 'is not a MAC address'),
    'long-octet': ("{'00:1a:4a:16:01:051':'P1'}", 'is not a MAC address'),
    'short-octet': ("{'00:1a:4a:16:1:51':'P1'}", "'00:1a:4a:16:1:51' is not a MAC address"),
    'short-first-octet': ("{'0:1a:4a:16:01:51':'P1'}", 'is not a MAC address'),
    'space-in-the-mac': ("{' 00:1a:4a:16:01:51':'P1'}", 'is not a MAC address'),
    'foreign-digits': ("{'00:1a:4a:16:01:\u0665\u0661':'P1'}", 'is not a MAC address'),
    'twice': (f"{{'{A}':'P1','{B}':'P2','{A.upper()}':'P1'}}", f'has MAC address {A} twice'),
    'empty-profile': ("{'00:1a:4a:16:01:51':''}", f"of the VM, for {A}: '' is not a port profile"),
    'long-profile': ("{'00:1a:4a:16:01:51':'" + 400 * 'p' + "'}", 'is not a port profile'),
    '40-bytes': ("{'00:1a:4a:16:01:51':'" + 40 * 'p' + "'}", 'is not a port profile'),
    'space-before': ("{'00:1a:4a:16:01:51':' P1'}", "' P1' is not a port profile"),
    'space-behind': ("{'00:1a:4a:16:01:51':'P1 '}", "'P1 ' is not a port profile"),
    'line-break': ("{'00:1a:4a:16:01:51':'P\n1'}", r"'P\n1' is not a port profile"),
    'line-break-behind': ("{'00:1a:4a:16:01:51':'P1\n'}", r"'P1\n' is not a port profile"),
    'letter-with-accent': ("{'00:1a:4a:16:01:51':'b\u00fcro'}", 'is not a port profile'),
    'xml-injection': ('''{'00:1a:4a:16:01:51':"P'/></virtualport><x y='"}''', 'is not a port profile'),
}
