// SPDX-License-Identifier: BSD-3-Clause
//
// Writes everything that C++ and TypeScript share from abi/status.json and abi/layout.json:
// native/abi.generated.h, lib/internal/abi.generated.ts, docs/reference/errors.md and events.md.
// Run with --check it writes nothing and exits 1 when one of them is out of date.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { renderHeader } from './generate/header.mjs';
import { renderErrorsPage } from './generate/errors-page.mjs';
import { renderEventsPage } from './generate/events-page.mjs';
import { renderTypeScript } from './generate/typescript.mjs';
import { root, writeIfChanged } from './setup/files.mjs';

function checkStatuses(statuses) {
  statuses.forEach((status, index) => {
    if (status.number !== index) {
      throw new Error(`abi/status.json: ${status.name} has number ${status.number}, not ${index}`);
    }
  });
}

const fieldSizes = { u8: 1, u16: 2, u32: 4, i32: 4, f64: 8, bytes8: 8 };
const fieldAlignments = { ...fieldSizes, bytes8: 1 };

function checkRecords(records) {
  for (const [name, record] of Object.entries(records)) {
    let end = 0;
    for (const field of record.fields) {
      const size = fieldSizes[field.type];
      if (size === undefined) throw new Error(`${name}.${field.name}: unknown type ${field.type}`);
      if (field.offset !== end || field.offset % fieldAlignments[field.type] !== 0) {
        throw new Error(`${name}.${field.name}: offset ${field.offset} leaves a gap or overlaps`);
      }
      end += size;
    }
    if (end !== record.sizeBytes) throw new Error(`${name}: fields end at ${end}`);
  }
}

/** Everything the renderers need, checked. */
export function readAbi() {
  const statusText = readFileSync(path.join(root, 'abi/status.json'));
  const layoutText = readFileSync(path.join(root, 'abi/layout.json'));
  const { prefix, statuses } = JSON.parse(statusText.toString('utf8'));
  // Not part of the hash: only pages are made of it.
  const librpma = JSON.parse(readFileSync(path.join(root, 'abi/librpma.json'), 'utf8'));
  const layout = JSON.parse(layoutText.toString('utf8'));
  checkStatuses(statuses);
  checkRecords(layout.records);
  const hash = createHash('sha256').update(statusText).update(layoutText).digest('hex');
  return { prefix, statuses, librpma, hash: hash.slice(0, 16), ...layout };
}

/** The generated files: path relative to the root, and text. */
export function renderAbi() {
  const abi = readAbi();
  return [
    { file: 'native/abi.generated.h', text: renderHeader(abi) },
    { file: 'lib/internal/abi.generated.ts', text: renderTypeScript(abi) },
    { file: 'docs/reference/errors.md', text: renderErrorsPage(abi) },
    { file: 'docs/reference/events.md', text: renderEventsPage(abi) },
  ];
}

/** Writes what differs; returns the names of the files written. */
export function generateAbi() {
  return renderAbi()
    .filter(({ file, text }) => writeIfChanged(path.join(root, file), text))
    .map(({ file }) => file);
}

/** The names of the generated files that are missing or out of date. */
export function staleAbi() {
  return renderAbi()
    .filter(({ file, text }) => {
      try {
        return readFileSync(path.join(root, file), 'utf8') !== text;
      } catch {
        return true;
      }
    })
    .map(({ file }) => file);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  if (process.argv.includes('--check')) {
    const stale = staleAbi();
    for (const file of stale)
      console.error(`${file} is out of date: node scripts/generate-abi.mjs`);
    process.exitCode = stale.length === 0 ? 0 : 1;
  } else {
    for (const file of generateAbi()) console.error(`wrote ${file}`);
  }
}
