// SPDX-License-Identifier: BSD-3-Clause
//
// Writes the tracked seeds of the fuzz targets, native/test/corpus/<target>/, anew from the golden
// frames: node scripts/fuzz-corpus.mjs. Needed when a target reads its input in another way. The
// layouts stand in native/test/fuzz_*.cc and fuzz_script.h; what is written here follows them.
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { root } from './setup/files.mjs';

const golden = path.join(root, 'native/test/golden');
const corpus = path.join(root, 'native/test/corpus');
const seedBytesMax = 1500;
const framesMax = 12; // a stream of a hundred equal frames teaches nothing more

// ---- Recordings: pcap, Ethernet or raw IP, IPv4, TCP ----------------------------------------

/** The TCP payload of each direction, in order, as far as the recording has every byte. */
function streamsOf(file) {
  const bytes = readFileSync(file);
  const little = bytes.readUInt32LE(0) === 0xa1b2c3d4 || bytes.readUInt32LE(0) === 0xa1b23c4d;
  const u32 = (at) => (little ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at));
  const link = { 1: 14, 101: 0, 113: 16, 276: 20 }[u32(20)];
  const streams = new Map();
  for (let at = 24; at + 16 <= bytes.length;) {
    const captured = u32(at + 8);
    const ip = bytes.subarray(at + 16 + link, at + 16 + captured);
    at += 16 + captured;
    if (ip.length < 40 || ip[0] >> 4 !== 4 || ip[9] !== 6) continue;
    const tcp = ip.subarray((ip[0] & 15) * 4);
    const payload = ip.subarray((ip[0] & 15) * 4 + (tcp[12] >> 4) * 4, ip.readUInt16BE(2));
    const key = `${ip.readUInt32BE(12)}:${tcp.readUInt16BE(0)}-${tcp.readUInt16BE(2)}`;
    const sequence = tcp.readUInt32BE(4);
    if ((tcp[13] & 2) !== 0) streams.set(key, { next: sequence + 1, parts: [] });
    const stream = streams.get(key);
    if (stream === undefined || payload.length === 0 || sequence !== stream.next) continue;
    stream.parts.push(payload);
    stream.next += payload.length;
  }
  return [...streams.values()].map(({ parts }) => Buffer.concat(parts)).filter((s) => s.length > 0);
}

function frameBytes(stream, at) {
  const length = stream.readUInt16BE(at);
  return 2 + length + ((4 - ((2 + length) & 3)) & 3) + 4;
}

/** The set-up frame and the frames behind it. */
function cut(stream) {
  const border = 20 + stream.readUInt16BE(18);
  const frames = [];
  for (let at = border; at + 2 <= stream.length;) {
    const end = at + frameBytes(stream, at);
    if (end > stream.length) break;
    frames.push(stream.subarray(at, end));
    at = end;
  }
  const active = stream.subarray(0, 16).toString('latin1') === 'MPA ID Rep Frame';
  return { setup: stream.subarray(0, border), frames, active };
}

function goldenFrames() {
  const lines = readFileSync(path.join(golden, 'extension-v1.txt'), 'utf8').split('\n');
  const frames = new Map();
  for (const line of lines) {
    const [, name, hex] = /^([a-z-]+) ([0-9a-f]+)$/.exec(line) ?? [];
    if (name !== undefined) frames.set(name, Buffer.from(hex, 'hex'));
  }
  return frames;
}

// ---- Seeds -----------------------------------------------------------------------------------

const seeds = new Map();

function seed(target, ...parts) {
  const bytes = Buffer.concat(parts.map((part) => Buffer.from(part)));
  if (bytes.length > seedBytesMax) return;
  const name = createHash('sha1').update(bytes).digest('hex').slice(0, 16);
  if (!seeds.has(target)) seeds.set(target, new Map());
  seeds.get(target).set(name, bytes);
}

// The place of a word in fuzz_script.h, and in fuzz_extension.cc.
const words = { write: 0, read: 1, send: 2, answer: 3, flush: 4, atomic: 5, extensionAnswer: 6 };
Object.assign(words, { terminate: 7, frame: 8, postReceive: 12, post: 13, poll: 14, hold: 15 });
Object.assign(words, { deliver: 16, disconnect: 17, revoke: 18, receiveAll: 19 });
const extensionWords = { flush: 0, atomic: 1, extensionAnswer: 2, frame: 8, receiveAll: 12 };
const deliver = 128;
const ownKey = 32;

/** A frame as the word kFrame takes it: its body, whose length and checksum are made anew. */
function frameWord(word, frame) {
  const body = frame.subarray(2, 2 + frame.readUInt16BE(0));
  if (body.length > 255) return [];
  return [word, deliver | ownKey, 0, body.length, ...body];
}

function fromRecordings() {
  for (const file of readdirSync(golden).filter((name) => name.endsWith('.pcap'))) {
    for (const stream of streamsOf(path.join(golden, file))) {
      const { setup, frames, active } = cut(stream);
      const some = frames.filter((frame) => frame.length < 300).slice(0, framesMax);
      seed('setup', [active ? 1 : 0, 0, 4], setup, ...some);
      seed('setup', [active ? 1 : 0, 7, 0], setup);
      seed('codec', [0, active ? 1 : 0, 0, 8, 8, 0, 15, 4], setup);
      seed('codec', [2, 16, 0x02, 0x05], ...some);
      const role = active ? 1 : 0;
      const told = some.flatMap((frame) => frameWord(words.frame, frame));
      seed('receive', [role, 0xff, 0, words.receiveAll], told);
      seed('receive', [role | 4, 0xff, 13, words.receiveAll], told);
      const kinds = new Map(some.map((frame) => [`${frame[3] & 15}:${frame.length}`, frame]));
      for (const frame of kinds.values()) {
        seed('codec', [2, 16, 0x01, 0x01], frame);
        seed('receive', [role, 0xff, 0, words.receiveAll], frameWord(words.frame, frame));
      }
    }
  }
}

function fromExtension() {
  const frames = goldenFrames();
  const hello = frames.get('hello');
  for (const [name, frame] of frames) {
    if (name.startsWith('request-') || name.startsWith('reply-')) {
      const active = name.startsWith('reply-') ? 1 : 0;
      seed('setup', [active | 2, 0, 4], frame, hello, frames.get('flush-visibility'));
      seed('setup', [active | 2, 3, 0], frame, hello, frames.get('send-immediate'));
      seed('codec', [0, active, 4, 8, 8, 0, 15, 4], frame);
      continue;
    }
    seed('codec', [2, 17, 0x02, 0x06], frame);
    const word = [extensionWords.receiveAll, ...frameWord(extensionWords.frame, frame)];
    seed('extension', [0x02, 0], word);
    seed('extension', [0x33, 5], word);
    seed('receive', [2, 0xff, 0, words.receiveAll], frameWord(words.frame, frame));
  }
}

/** Short stories that lead to each place: of both roles, with checksums and without. */
function fromWords() {
  const post = (kind, offset, length) => [words.post, kind, offset, length];
  const stories = [
    [words.write, deliver, 0, 0, 64],
    [words.write, deliver, 0, 0, 200, words.write, deliver, 1, 0, 255],
    [words.write, deliver, 3, 4, 64, words.read, deliver, 3, 4, 8],
    [words.write, 1, 0, 0, 64, words.write, deliver | 64, 0, 0, 0, 64],
    [words.read, deliver, 2, 0, 200],
    [words.hold, 1, words.read, 0, 0, 0, 255, words.read, deliver, 0, 0, 255, words.hold, 0],
    [words.receiveAll, words.send, deliver, 0, 100, words.send, deliver, 2, 200],
    [words.send, deliver, 0, 100, words.send, deliver, 2, 9, words.postReceive, 0, 200, words.poll],
    [words.receiveAll, words.send, 1, 0, 64, words.send, deliver, 0, 64],
    [...post(1, 0, 64), words.answer, deliver, 0],
    [...post(1, 0, 200), words.answer, 1 | 8, 64, words.answer, deliver, 0],
    [...post(0, 0, 64), ...post(2, 4, 64), ...post(3, 0, 8), words.answer, deliver, 8],
    [words.flush, deliver, 0, 0, 0, 64, words.flush, deliver, 3, 0, 1, 64],
    [words.flush, deliver, 4, 0, 1, 255, words.atomic, deliver, 3, 0],
    [
      ...post(3, 0, 8),
      ...post(4, 0, 8),
      words.extensionAnswer,
      0,
      0,
      words.extensionAnswer,
      128,
      0,
    ],
    [words.terminate, deliver, 4, 0x10, 0x01, 0, 0],
    [words.receiveAll, words.send, deliver, 5, 20, words.disconnect, words.deliver],
    [words.write, deliver, 5, 0, 64, words.revoke, words.write, deliver, 5, 0, 64],
  ];
  for (const story of stories) {
    for (let kind = 0; kind < 8; ++kind) seed('receive', [kind, 0xfb, 0], story);
  }
  const { flush, atomic, extensionAnswer } = extensionWords;
  for (const kind of [0x02, 0x32, 0x33, 0x31]) {
    seed('extension', [kind, 0, flush, deliver, 0, 0, 0, 64, atomic, deliver, 0, 0]);
    seed('extension', [kind, 3, flush, deliver, 3, 0, 1, 64, atomic, deliver, 3, 0]);
    seed('extension', [
      kind,
      0,
      extensionAnswer,
      deliver,
      0x10,
      extensionAnswer,
      deliver,
      0,
      4,
      deliver,
      0,
    ]);
    seed('extension', [kind, 0, extensionAnswer, deliver, 0x06, extensionAnswer, deliver, 0]);
  }
  for (const size of [0, 1, 7, 8, 9, 63, 64, 65, 300]) seed('codec', [1, 5], Buffer.alloc(size, 7));
}

function write() {
  for (const [target, files] of seeds) {
    const directory = path.join(corpus, target);
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true });
    for (const [name, bytes] of files) writeFileSync(path.join(directory, `${name}.bin`), bytes);
    const total = [...files.values()].reduce((sum, bytes) => sum + bytes.length, 0);
    console.log(`${target}: ${files.size} seeds, ${total} bytes`);
  }
}

fromRecordings();
fromExtension();
fromWords();
write();
