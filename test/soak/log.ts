// SPDX-License-Identifier: BSD-3-Clause
//
// The file of the soak: a replicated log in a ring. Two words say which part of it is valid, from
// `trim` to `commit`, both counted from the log's beginning of all times in units of 64 bytes, so
// that they only grow. A word carries a check of itself in its upper half: half a word is seen. A
// record is a header and a payload under one checksum; none lies across the end of the ring, what
// is left there is filled with a record without a payload.

import { crc32 } from 'node:zlib';

export const unitBytes = 64;
export const wordsBytes = 4096;
export const ringBytes: number = 4 << 20;
export const ringUnits: number = ringBytes / unitBytes;
export const fileBytes: number = wordsBytes + ringBytes;
/** Where the words lie: a cache line each. */
export const commitOffset = 0;
export const trimOffset = 64;
export const recordHeaderBytes = 64;

const magic = 0x676f6c72;
const checkedHeaderBytes = 24;

/** Something in the file that no order of events may leave there. */
export class LogDefect extends Error {
  override readonly name: string = 'LogDefect';
}

export interface Words {
  readonly trim: number;
  readonly commit: number;
}

export interface LogRecord {
  /** Its place, in units. */
  readonly at: number;
  readonly units: number;
  readonly checksum: number;
}

function checkOf(units: number): number {
  let mixed = Math.imul(units ^ 0x5bd1e995, 0x9e3779b1);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x85ebca77);
  return (mixed ^ (mixed >>> 13)) >>> 0;
}

export function encodeWord(units: number): bigint {
  return (BigInt(checkOf(units)) << 32n) | BigInt(units);
}

function readWord(image: Buffer, offset: number, name: string): number {
  const units = image.readUInt32LE(offset);
  const check = image.readUInt32LE(offset + 4);
  if (check === checkOf(units)) return units;
  const halves = `${check.toString(16)} ${units.toString(16)}`;
  throw new LogDefect(`the ${name} word is torn: ${halves}`);
}

export function readWords(image: Buffer): Words {
  const commit = readWord(image, commitOffset, 'commit');
  const trim = readWord(image, trimOffset, 'trim');
  if (trim > commit || commit - trim > ringUnits) {
    throw new LogDefect(`the words name no part of the ring: from ${trim} to ${commit}`);
  }
  return { trim, commit };
}

/** An empty log that begins where the given one ended. */
export function emptyLog(): Buffer {
  const image = Buffer.alloc(fileBytes);
  image.writeBigUInt64LE(encodeWord(0), commitOffset);
  image.writeBigUInt64LE(encodeWord(0), trimOffset);
  return image;
}

/** The offset in the file of a place in the log. */
export function placeOf(at: number): number {
  return wordsBytes + (at % ringUnits) * unitBytes;
}

export function unitsOf(payloadBytes: number): number {
  return Math.ceil((recordHeaderBytes + payloadBytes) / unitBytes);
}

/** Units from there to the end of the ring. */
export function unitsToEnd(at: number): number {
  return ringUnits - (at % ringUnits);
}

/** Writes a record's header before its payload, which is there already. */
export function sealRecord(
  slot: Buffer,
  at: number,
  units: number,
  payloadBytes: number,
): LogRecord {
  slot.writeUInt32LE(magic, 0);
  slot.writeUInt32LE(units, 4);
  slot.writeUInt32LE(payloadBytes, 8);
  slot.writeUInt32LE(0, 12);
  slot.writeBigUInt64LE(BigInt(at), 16);
  const checksum = checksumOf(slot, payloadBytes);
  slot.writeUInt32LE(checksum, checkedHeaderBytes);
  return { at, units, checksum };
}

function checksumOf(record: Buffer, payloadBytes: number): number {
  const header = crc32(record.subarray(0, checkedHeaderBytes));
  return crc32(record.subarray(recordHeaderBytes, recordHeaderBytes + payloadBytes), header);
}

/** The record at a place; throws when it is not whole. */
export function readRecord(image: Buffer, at: number): LogRecord {
  const room = unitsToEnd(at);
  const record = image.subarray(placeOf(at), placeOf(at) + room * unitBytes);
  const units = record.readUInt32LE(4);
  const payloadBytes = record.readUInt32LE(8);
  const isRecord =
    record.readUInt32LE(0) === magic &&
    record.readBigUInt64LE(16) === BigInt(at) &&
    units > 0 &&
    units <= room &&
    unitsOf(payloadBytes) <= units;
  if (!isRecord) throw new LogDefect(`there is no record at ${at}`);
  const checksum = record.readUInt32LE(checkedHeaderBytes);
  if (checksum !== checksumOf(record, payloadBytes)) {
    throw new LogDefect(`the record at ${at} (${payloadBytes} bytes) is not whole`);
  }
  return { at, units, checksum };
}

/** All records between the words; throws when they are not whole ones, end to end. */
export function readRecords(image: Buffer, { trim, commit }: Words): LogRecord[] {
  const records: LogRecord[] = [];
  for (let at = trim; at < commit;) {
    const record = readRecord(image, at);
    records.push(record);
    at += record.units;
    if (at > commit) throw new LogDefect(`the commit word ${commit} is inside a record`);
  }
  return records;
}
