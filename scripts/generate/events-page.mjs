// SPDX-License-Identifier: BSD-3-Clause
//
// Renders docs/reference/events.md, the table of the events of a connection.

function row({ word, name, value, text, meaning }) {
  const librpma = name === null ? '–' : `\`${name}\` (${value}): ${text}`;
  return `| ${word === null ? '–' : `\`${word}\``} | ${meaning} | ${librpma} |`;
}

export function renderEventsPage({ librpma }) {
  return [
    '<!-- Generated from abi/librpma.json by scripts/generate-abi.mjs; do not edit. -->',
    '',
    '# Connection events',
    '',
    'What `connection.events` yields, each once and in order: an object with one of these words in',
    '`type`, and `error` and `privateData` where there are any. Reading `whenEstablished()` or',
    '`whenClosed()` consumes none. The last column has the event of librpma and the text that',
    '`rpma_utils_conn_event_2str` gives for it.',
    '',
    '| Type | Meaning | librpma |',
    '| --- | --- | --- |',
    ...librpma.events.map(row),
    '',
    'The events of a connection are published on the channel `rpma:connection:event`, too',
    '([diagnostics](diagnostics.md#channels)).',
    '',
  ].join('\n');
}
