// SPDX-License-Identifier: GPL-2.0-or-later
//
// Prints the expression and, for each value, a line of base64 on stdin, whether it matches: as the
// engine's dialog does in the administrator's browser.

const expression = new RegExp(process.argv[2]);
console.log(process.argv[2]);
const lines = require('fs').readFileSync(0, 'utf8').trimEnd().split('\n');
for (const line of lines) {
    console.log(expression.test(Buffer.from(line, 'base64').toString('utf8')));
}
