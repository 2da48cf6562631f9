// SPDX-License-Identifier: BSD-3-Clause
//
// `rpma decode`: what a descriptor, or the private data that carries one, says in words.

import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { isRpmaError } from '../errors.js';
import { formatSize } from './arguments.js';
import { knownForms, readNotice, type PeerNotice, type RegionNotice } from './blocks.js';
import { attempting, CommandError } from './failure.js';
import type { CommandContext } from './output.js';
import { usageMeanings, usageWords } from './usage.js';

const inputBytesMax = 4096; // far beyond any private data

/** The bytes behind hex digits with spaces, colons or 0x between them; null when it is none. */
function fromHex(text: string): Uint8Array | null {
  const digits = text.replaceAll(/0x|[\s:,-]/gi, '');
  if (digits === '' || digits.length % 2 === 1 || !/^[0-9a-f]+$/i.test(digits)) return null;
  return new Uint8Array(Buffer.from(digits, 'hex'));
}

async function readAll(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of chunks) {
    parts.push(part);
    bytes += part.length;
    if (bytes > inputBytesMax) {
      const cure = `expected was ${knownForms}`;
      throw new CommandError(`more than ${inputBytesMax} bytes are no descriptor`, { cure });
    }
  }
  return Buffer.concat(parts);
}

/** The bytes of a file: those behind its hex digits if it holds nothing else. */
async function fromFile(path: string): Promise<Uint8Array> {
  if (path === '-') return fromContent(await readAll(process.stdin));
  const file = await open(path);
  try {
    return fromContent(await readAll(file.createReadStream({ autoClose: false })));
  } finally {
    await file.close();
  }
}

function fromContent(content: Buffer): Uint8Array {
  return fromHex(content.toString('latin1')) ?? new Uint8Array(content);
}

async function readInput(input: readonly string[]): Promise<Uint8Array> {
  const [first = ''] = input;
  const bytes = fromHex(input.join(' '));
  if (bytes !== null) return bytes;
  if (input.length === 1 && (first === '-' || existsSync(first))) return fromFile(first);
  const odd = /^[0-9a-f\s]+$/i.test(input.join(' '));
  throw new CommandError(
    odd ? `'${first}' has an odd number of hex digits` : `'${first}' is neither hex nor a file`,
    { cure: `give ${knownForms} in hex, a file that holds it, or '-' for standard input` },
  );
}

const titles: Readonly<Record<RegionNotice['kind'] | 'peer', string>> = {
  peer: 'peer descriptor',
  region: 'region descriptor',
  'example-block': "private data of librpma's examples",
  'fio-block': "private data of fio's librpma engines",
};

/** A name and what is told of it, line by line. */
type Row = readonly [name: string, ...lines: string[]];

function peerWords({ directWriteToPmem }: PeerNotice['config']): string {
  return directWriteToPmem
    ? 'yes: what is visible in its memory is persistent, says its operator'
    : 'no: what is visible in its memory may not be persistent yet';
}

function regionRows(notice: RegionNotice): Row[] {
  const { region, config } = notice;
  const usage = `0x${region.usage.toString(16).padStart(2, '0')}`;
  const rows: Row[] = [
    ['address', `0x${region.address.toString(16).padStart(16, '0')} (opaque here)`],
    ['size', formatSize(region.sizeBytes)],
    ['key', `0x${notice.key.toString(16).padStart(8, '0')} (a secret, with the address)`],
    ['usage', usage, ...usageMeanings(region.usage)],
  ];
  if (notice.kind === 'example-block') {
    rows.push(['data', `from byte ${notice.dataOffset} of the region on`]);
    if (config === null) rows.push(['peer', 'nothing is said of it']);
  }
  if (notice.messagesMax !== null) rows.push(['messages', `${notice.messagesMax} at most at once`]);
  if (config !== null) rows.push(['direct write', peerWords(config)]);
  return rows;
}

function peerRows({ config, byte }: PeerNotice): Row[] {
  const words = peerWords(config);
  const strange = byte > 1 ? ` (the byte is ${byte}; all but 0 is read as yes)` : '';
  return [['direct write', `${words}${strange}`]];
}

function toJson(notice: RegionNotice | PeerNotice, bytes: number): object {
  const directWriteToPmem = notice.config?.directWriteToPmem ?? null;
  if (notice.kind === 'peer') return { kind: 'peer', bytes, directWriteToPmem };
  const { kind, region, key, dataOffset, messagesMax } = notice;
  const shared = {
    kind,
    bytes,
    address: `0x${region.address.toString(16).padStart(16, '0')}`,
    sizeBytes: region.sizeBytes,
    key,
    usage: region.usage,
    usageWords: usageWords(region.usage),
    flushTypes: region.flushTypes,
  };
  if (kind === 'region') return shared;
  if (kind === 'fio-block') return { ...shared, messagesMax, directWriteToPmem };
  return { ...shared, dataOffset, directWriteToPmem };
}

function understand(bytes: Uint8Array): RegionNotice | PeerNotice {
  try {
    const notice = readNotice(bytes);
    if (notice !== null) return notice;
  } catch (error) {
    if (!isRpmaError(error)) throw error;
    const cure = 'check that the bytes are whole and in order';
    throw new CommandError(error.message, { cure, code: error.code, cause: error });
  }
  const count = bytes.length === 1 ? '1 byte' : `${bytes.length} bytes`;
  const why = bytes.length >= 28 ? `${count} that start like neither block` : count;
  throw new CommandError(`${why} are of no known form`, { cure: `expected was ${knownForms}` });
}

export async function decode(
  input: readonly string[],
  { output, json }: CommandContext,
): Promise<void> {
  await attempting('decode', async () => {
    const bytes = await readInput(input);
    const notice = understand(bytes);
    if (json) {
      output.json(toJson(notice, bytes.length));
      return;
    }
    const rows = notice.kind === 'peer' ? peerRows(notice) : regionRows(notice);
    const count = bytes.length === 1 ? '1 byte' : `${bytes.length} bytes`;
    output.line(`${output.colour('bold', titles[notice.kind])}, ${count}`);
    const width = Math.max(...rows.map(([name]) => name.length));
    for (const [name, ...lines] of rows) {
      for (const [index, text] of lines.entries()) {
        output.line(`  ${(index === 0 ? name : '').padEnd(width)}  ${text}`);
      }
    }
  });
}
