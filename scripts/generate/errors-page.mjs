// SPDX-License-Identifier: BSD-3-Clause
//
// Renders docs/reference/errors.md, the table of every code.

const classes = {
  none: '–',
  TypeError: '`TypeError`',
  RangeError: '`RangeError`',
  RpmaError: '`RpmaError`',
};

function librpmaRow(prefix, { name, value, text, codes, instead }) {
  const here = codes.map((code) => `\`${prefix}${code}\``).join(', ');
  return `| \`${name}\` | ${value} | ${text} | ${instead ?? here} |`;
}

export function renderErrorsPage({ prefix, statuses, librpma }) {
  const rows = statuses
    .filter((status) => status.class !== 'none')
    .map((status) => {
      const retryable = status.retryable ? 'yes' : 'no';
      const cells = [`\`${prefix}${status.name}\``, classes[status.class], status.scope, retryable];
      return `| ${[...cells, status.message].join(' | ')} |`;
    });
  return [
    '<!-- Generated from abi/status.json and abi/librpma.json by scripts/generate-abi.mjs; do not edit. -->',
    '',
    '# Errors',
    '',
    'Every error that rpma throws, rejects with or puts into a completion carries one of these',
    'codes in `error.code`. The scope is the largest thing that is permanently affected: it tells',
    'what has to be made anew. A retryable error goes away by itself, after a completion. Codes',
    'are stable; messages are for people and may change.',
    '',
    '| Code | Class | Scope | Retryable | Meaning |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
    '',
    '## The codes of librpma',
    '',
    'What `rpma_err_2str` says, and what stands for it here. The errno, which librpma only logs,',
    'is in `error.errno`.',
    '',
    '| librpma | Value | Text | Here |',
    '| --- | --- | --- | --- |',
    ...librpma.errors.map((error) => librpmaRow(prefix, error)),
    '',
  ].join('\n');
}
