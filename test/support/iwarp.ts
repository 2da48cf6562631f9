// SPDX-License-Identifier: BSD-3-Clause
//
// A small encoder and decoder of iWARP (RFC 5044, 6581, 5041, 5040) for scripted peers in tests.
// It is written from the standards, apart from the library's own codecs, and can also write what
// no honest peer would send. Plain functions over bytes.

export const opcodes = {
  write: 0,
  readRequest: 1,
  readResponse: 2,
  send: 3,
  sendInvalidate: 4,
  sendSolicited: 5,
  sendSolicitedInvalidate: 6,
  terminate: 7,
  immediate: 8,
  immediateSolicited: 9,
  extension: 15,
} as const;

// ── Request and Reply ──

const keys = { request: 'MPA ID Req Frame', reply: 'MPA ID Rep Frame' } as const;

export const setupFlags = { markers: 0x80, crc: 0x40, rejected: 0x20, enhanced: 0x10 } as const;

export interface SetupWord {
  /** Bits A, B of the upper half (0x8000, 0x4000). */
  readonly inboundBits: number;
  readonly inboundReads: number;
  /** Bits C, D of the lower half (0x8000, 0x4000). */
  readonly outboundBits: number;
  readonly outboundReads: number;
}

export interface SetupFrame {
  readonly kind: 'request' | 'reply';
  readonly flags: number;
  readonly revision: number;
  readonly word: SetupWord | null;
  readonly privateData: Uint8Array;
}

export const plainWord: SetupWord = {
  inboundBits: 0,
  inboundReads: 16,
  outboundBits: 0,
  outboundReads: 16,
};

/** The offer of the extension: B and D alone. */
export const offerWord: SetupWord = { ...plainWord, inboundBits: 0x4000, outboundBits: 0x4000 };

export function plainSetup(kind: 'request' | 'reply', privateData?: Uint8Array): SetupFrame {
  const data = privateData ?? new Uint8Array(0);
  return { kind, flags: setupFlags.enhanced, revision: 2, word: plainWord, privateData: data };
}

export function encodeSetup(frame: SetupFrame): Uint8Array {
  const wordBytes = frame.word === null ? 0 : 4;
  const out = Buffer.alloc(20 + wordBytes + frame.privateData.length);
  out.write(keys[frame.kind], 0, 'latin1');
  out.writeUInt8(frame.flags, 16);
  out.writeUInt8(frame.revision, 17);
  out.writeUInt16BE(wordBytes + frame.privateData.length, 18);
  if (frame.word !== null) {
    out.writeUInt16BE(frame.word.inboundBits | frame.word.inboundReads, 20);
    out.writeUInt16BE(frame.word.outboundBits | frame.word.outboundReads, 22);
  }
  out.set(frame.privateData, 20 + wordBytes);
  return out;
}

/** Bytes of the whole frame, as its first 20 say. */
export function setupBytes(header: Uint8Array): number {
  return 20 + Buffer.from(header).readUInt16BE(18);
}

export function decodeSetup(bytes: Uint8Array): SetupFrame {
  const frame = Buffer.from(bytes);
  const key = frame.toString('latin1', 0, 16);
  if (key !== keys.request && key !== keys.reply) throw new Error(`no set-up frame: ${key}`);
  const flags = frame.readUInt8(16);
  const enhanced = (flags & setupFlags.enhanced) !== 0 && frame.length >= 24;
  const upper = enhanced ? frame.readUInt16BE(20) : 0;
  const lower = enhanced ? frame.readUInt16BE(22) : 0;
  return {
    kind: key === keys.request ? 'request' : 'reply',
    flags,
    revision: frame.readUInt8(17),
    word: enhanced
      ? {
          inboundBits: upper & 0xc000,
          inboundReads: upper & 0x3fff,
          outboundBits: lower & 0xc000,
          outboundReads: lower & 0x3fff,
        }
      : null,
    privateData: Uint8Array.from(frame.subarray(enhanced ? 24 : 20)),
  };
}

// ── CRC32C ──

const crcTable = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0x82f63b78 : 0);
  return value >>> 0;
});

export function crc32c(bytes: Uint8Array): number {
  let state = 0xffffffff;
  for (const byte of bytes) state = (state >>> 8) ^ (crcTable[(state ^ byte) & 0xff] ?? 0);
  return (state ^ 0xffffffff) >>> 0;
}

// ── Frames ──

export interface Segment {
  readonly opcode: number;
  readonly tagged: boolean;
  readonly last: boolean;
  readonly stag: number; // tagged: the sink's; untagged: to invalidate
  readonly taggedOffset: bigint;
  readonly queue: number;
  readonly sequence: number;
  readonly messageOffset: number;
  readonly payload: Uint8Array;
  readonly crcField: number;
  readonly crcIsRight: boolean;
}

/** Bytes of the whole frame whose ULPDU has this length. */
export function frameBytes(ulpduBytes: number): number {
  return ((2 + ulpduBytes + 3) & ~3) + 4;
}

function seal(ulpdu: Buffer, crc: boolean): Uint8Array {
  const out = Buffer.alloc(frameBytes(ulpdu.length));
  out.writeUInt16BE(ulpdu.length, 0);
  out.set(ulpdu, 2);
  if (crc) out.writeUInt32LE(crc32c(out.subarray(0, -4)), out.length - 4);
  return out;
}

/** A frame around any bytes, however wrong; the length field can say something else. */
export function rawFrame(ulpdu: Uint8Array, crc: boolean = false): Uint8Array {
  return seal(Buffer.from(ulpdu), crc);
}

export interface FrameOptions {
  readonly last?: boolean;
  readonly crc?: boolean;
  /** Overwrites the two control bytes, for frames that are wrong on purpose. */
  readonly control?: readonly [number, number];
}

export function taggedFrame(
  opcode: number,
  stag: number,
  taggedOffset: bigint,
  payload: Uint8Array,
  options: FrameOptions = {},
): Uint8Array {
  const ulpdu = Buffer.alloc(14 + payload.length);
  const [ddp, rdmap] = options.control ?? [options.last === false ? 0x81 : 0xc1, 0x40 | opcode];
  ulpdu.writeUInt8(ddp, 0);
  ulpdu.writeUInt8(rdmap, 1);
  ulpdu.writeUInt32BE(stag >>> 0, 2);
  ulpdu.writeBigUInt64BE(BigInt.asUintN(64, taggedOffset), 6);
  ulpdu.set(payload, 14);
  return seal(ulpdu, options.crc ?? false);
}

export interface UntaggedFields {
  readonly queue: number;
  readonly sequence: number;
  readonly messageOffset?: number;
  readonly invalidateStag?: number;
}

export function untaggedFrame(
  opcode: number,
  fields: UntaggedFields,
  payload: Uint8Array,
  options: FrameOptions = {},
): Uint8Array {
  const ulpdu = Buffer.alloc(18 + payload.length);
  const [ddp, rdmap] = options.control ?? [options.last === false ? 0x01 : 0x41, 0x40 | opcode];
  ulpdu.writeUInt8(ddp, 0);
  ulpdu.writeUInt8(rdmap, 1);
  ulpdu.writeUInt32BE(fields.invalidateStag ?? 0, 2);
  ulpdu.writeUInt32BE(fields.queue, 6);
  ulpdu.writeUInt32BE(fields.sequence, 10);
  ulpdu.writeUInt32BE(fields.messageOffset ?? 0, 14);
  ulpdu.set(payload, 18);
  return seal(ulpdu, options.crc ?? false);
}

export function decodeFrame(bytes: Uint8Array): Segment {
  const frame = Buffer.from(bytes);
  const ulpduBytes = frame.readUInt16BE(0);
  const ddp = frame.readUInt8(2);
  const tagged = (ddp & 0x80) !== 0;
  const crcField = frame.readUInt32LE(frame.length - 4);
  return {
    opcode: frame.readUInt8(3) & 0x0f,
    tagged,
    last: (ddp & 0x40) !== 0,
    stag: frame.readUInt32BE(4),
    taggedOffset: tagged ? frame.readBigUInt64BE(8) : 0n,
    queue: tagged ? 0 : frame.readUInt32BE(8),
    sequence: tagged ? 0 : frame.readUInt32BE(12),
    messageOffset: tagged ? 0 : frame.readUInt32BE(16),
    payload: Uint8Array.from(frame.subarray(tagged ? 16 : 20, 2 + ulpduBytes)),
    crcField,
    crcIsRight: crcField === crc32c(frame.subarray(0, -4)),
  };
}

// ── Read Request and Terminate ──

export interface ReadRequest {
  readonly sinkStag: number;
  readonly sinkOffset: bigint;
  readonly lengthBytes: number;
  readonly sourceStag: number;
  readonly sourceOffset: bigint;
}

export function readRequestBody(request: ReadRequest): Uint8Array {
  const body = Buffer.alloc(28);
  body.writeUInt32BE(request.sinkStag, 0);
  body.writeBigUInt64BE(request.sinkOffset, 4);
  body.writeUInt32BE(request.lengthBytes, 12);
  body.writeUInt32BE(request.sourceStag, 16);
  body.writeBigUInt64BE(BigInt.asUintN(64, request.sourceOffset), 20);
  return body;
}

export function decodeReadRequest(segment: Segment): ReadRequest {
  const body = Buffer.from(segment.payload);
  if (segment.opcode !== opcodes.readRequest || body.length !== 28) {
    throw new Error(`no Read Request: opcode ${segment.opcode}, ${body.length} bytes`);
  }
  return {
    sinkStag: body.readUInt32BE(0),
    sinkOffset: body.readBigUInt64BE(4),
    lengthBytes: body.readUInt32BE(12),
    sourceStag: body.readUInt32BE(16),
    sourceOffset: body.readBigUInt64BE(20),
  };
}

/** A Terminate's words: what ended the stream, and the headers of the frame at fault. */
export interface TerminateWords {
  /** 'layer/type/code', as the tables of the standards write it. */
  readonly cause: string;
  /** M, D and R: 0x80, 0x40, 0x20. */
  readonly flags: number;
  /** All that stands behind the control word. */
  readonly headers: Uint8Array;
}

export function terminateWords(segment: Segment): TerminateWords {
  const [first, code, flags] = segment.payload;
  if (
    segment.opcode !== opcodes.terminate ||
    first === undefined ||
    code === undefined ||
    flags === undefined
  ) {
    throw new Error(`no Terminate: opcode ${segment.opcode}, ${segment.payload.length} bytes`);
  }
  const cause = `${first >> 4}/${first & 0xf}/${code}`;
  return { cause, flags, headers: segment.payload.slice(4) };
}

/** 'layer/type/code', as the tables of the standards write it. */
export function terminateCause(segment: Segment): string {
  return terminateWords(segment).cause;
}

/** Causes that say that the header itself could not be understood. */
const headerless = new Set(['0/2/5', '1/1/4', '1/2/6']);

/** What a Terminate of this cause says of the frame at fault (RFC 5040, figure 10). */
export function expectedWords(cause: string, fault: Uint8Array): TerminateWords {
  const none = { cause, flags: 0, headers: new Uint8Array(0) };
  const [layer, type] = cause.split('/');
  if (layer === '2' || (layer === '0' && type === '0') || headerless.has(cause)) return none;
  const frame = Buffer.from(fault);
  const tagged = (frame.readUInt8(2) & 0x80) !== 0;
  const headerBytes = tagged ? 14 : 18;
  const isRead = !tagged && (frame.readUInt8(3) & 0xf) === opcodes.readRequest;
  const withBody = isRead && layer === '0' && type === '1';
  const length = Buffer.alloc(2);
  length.writeUInt16BE(frame.readUInt16BE(0) - headerBytes, 0);
  const copied = frame.subarray(2, 2 + headerBytes + (withBody ? 28 : 0));
  const headers = Uint8Array.from(Buffer.concat([length, copied]));
  return { cause, flags: withBody ? 0xe0 : 0xc0, headers };
}

/** A Terminate's body; swapped: as siw writes it on little-endian hosts. */
export function terminateBody(
  cause: string,
  options: { readonly swapped?: boolean; readonly fault?: Uint8Array } = {},
): Uint8Array {
  const [layer = 0, type = 0, code = 0] = cause.split('/').map(Number);
  const { flags, headers } =
    options.fault === undefined
      ? { flags: 0, headers: new Uint8Array(0) }
      : expectedWords(cause, options.fault);
  if (options.swapped !== true) {
    return Uint8Array.from([(layer << 4) | type, code, flags, 0, ...headers]);
  }
  const bits = (flags & 0x80 ? 1 : 0) | (flags & 0x40 ? 2 : 0) | (flags & 0x20 ? 4 : 0);
  return Uint8Array.from([(type << 4) | layer, code, bits, 0, ...headers]);
}

// ── The extension ──

export const capabilities = { flush: 1, atomicWrite: 2, immediate: 4, checksum: 8 } as const;

export const extensionSubs = {
  flush: 1,
  atomicWrite: 2,
  sendImmediate: 3,
  flushAnswer: 0x81,
  atomicAnswer: 0x82,
};

export interface ExtensionRequest {
  readonly sub: number;
  readonly version?: number;
  readonly type?: number;
  readonly id?: number;
  readonly stag: number;
  readonly taggedOffset: bigint;
  readonly lengthBytes: bigint;
  /** Of an atomic write. */
  readonly value?: Uint8Array;
}

export function extensionRequestBody(request: ExtensionRequest): Uint8Array {
  const body = Buffer.alloc(request.value === undefined ? 32 : 40);
  body.writeUInt8(request.sub, 0);
  body.writeUInt8(request.version ?? 1, 1);
  body.writeUInt8(request.type ?? 0, 2);
  body.writeUInt32BE(request.id ?? 7, 4);
  body.writeUInt32BE(request.stag >>> 0, 8);
  body.writeBigUInt64BE(BigInt.asUintN(64, request.taggedOffset), 16);
  body.writeBigUInt64BE(BigInt.asUintN(64, request.lengthBytes), 24);
  if (request.value !== undefined) body.set(request.value, 32);
  return body;
}

export interface ExtensionAnswer {
  readonly sub: number;
  readonly version?: number;
  readonly status?: number;
  readonly durability?: number;
  readonly id: number;
  readonly errno?: number;
}

export function extensionAnswerBody(answer: ExtensionAnswer): Uint8Array {
  const body = Buffer.alloc(12);
  body.writeUInt8(answer.sub, 0);
  body.writeUInt8(answer.version ?? 1, 1);
  body.writeUInt8(answer.status ?? 0, 2);
  body.writeUInt8(answer.durability ?? 0, 3);
  body.writeUInt32BE(answer.id, 4);
  body.writeUInt32BE(answer.errno ?? 0, 8);
  return body;
}

/** What a Send with immediate carries: the value in front of the message. */
export function sendImmediateBody(
  value: number,
  message: Uint8Array = new Uint8Array(0),
  header: { readonly sub?: number; readonly version?: number } = {},
): Uint8Array {
  const body = Buffer.alloc(8 + message.length);
  body.writeUInt8(header.sub ?? extensionSubs.sendImmediate, 0);
  body.writeUInt8(header.version ?? 1, 1);
  body.writeUInt32BE(value, 4);
  body.set(message, 8);
  return body;
}

/** The eight bytes of Immediate Data (RFC 7306), as we use them. */
export function immediateBody(value: number): Uint8Array {
  const body = Buffer.alloc(8);
  body.writeUInt32BE(value, 0);
  return body;
}

/** The id of a request of the extension, for its answer. */
export function extensionId(segment: Segment): number {
  if (segment.opcode !== opcodes.extension) throw new Error(`opcode ${segment.opcode}`);
  return Buffer.from(segment.payload).readUInt32BE(4);
}

/** The initiator's first frame between our own kind. */
export function helloFrame(capabilities: number, crc: boolean = false): Uint8Array {
  const offset = (1n << 56n) | (BigInt(capabilities) << 32n) | 0x5eedn;
  return taggedFrame(opcodes.write, 0x52504d41, offset, new Uint8Array(0), { crc });
}
