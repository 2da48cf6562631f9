// SPDX-License-Identifier: BSD-3-Clause
//
// Values on the command line: sizes, times, counts, words. What is wrong is said with what is
// right. Pure.

import { InvalidArgumentError } from 'commander';

/** The port of librpma's examples. */
export const portDefault = 7204;

const portMax = 65_535;
const units: readonly string[] = ['', 'KiB', 'MiB', 'GiB', 'TiB'];
const sizeForms = 'a size is written 4096, 64KiB, 1MiB, 2GiB or 1TiB';
const timeForms = 'a time is written 1s, 200ms, 50us, or 0.5 (seconds)';

/** Bytes, from 1 on: '4096', '64KiB', '1MiB'. */
export function parseSize(text: string): number {
  const [, digits, unit] = /^(\d{1,16})(|KiB|MiB|GiB|TiB)$/i.exec(text) ?? [];
  if (digits === undefined || unit === undefined) {
    const isDecimal = /^\d+ ?[KMGT]B?$/i.test(text);
    throw new InvalidArgumentError(isDecimal ? `${sizeForms}; K is ambiguous` : sizeForms);
  }
  const power = units.findIndex((each) => each.toLowerCase() === unit.toLowerCase());
  const bytes = Number(digits) * 1024 ** power;
  if (bytes < 1 || bytes > Number.MAX_SAFE_INTEGER) {
    throw new InvalidArgumentError(`a size is from 1 to 2^53 - 1 bytes; ${sizeForms}`);
  }
  return bytes;
}

/** A place in a file: as a size, or 0. */
export function parseOffset(text: string): number {
  const bytes = text === '0' ? 0 : parseSize(text);
  if (bytes % 4096 !== 0) throw new InvalidArgumentError('an offset is a multiple of 4096');
  return bytes;
}

/** Milliseconds: '1s', '200ms', '50us', and a number alone is seconds, as ping(8) has it. */
export function parseTime(text: string): number {
  const [, digits, unit] = /^(\d{1,9}(?:\.\d{1,6})?)(|s|ms|us)$/.exec(text) ?? [];
  if (digits === undefined) throw new InvalidArgumentError(timeForms);
  const scale = unit === 'us' ? 0.001 : unit === 'ms' ? 1 : 1000;
  const milliseconds = Number(digits) * scale;
  if (milliseconds > 86_400_000) throw new InvalidArgumentError('a time is at most a day (86400s)');
  return milliseconds;
}

/** A time that something may take: from 1 ms on. */
export function parseDeadline(text: string): number {
  const milliseconds = Math.ceil(parseTime(text));
  if (milliseconds < 1) throw new InvalidArgumentError('a deadline is at least 1ms');
  return milliseconds;
}

function parseWhole(text: string, min: number, max: number): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
  if (!(value >= min && value <= max)) {
    throw new InvalidArgumentError(`a whole number from ${min} to ${max} is expected`);
  }
  return value;
}

/** How often: 1 to 10^15 - 1. */
export function parseCount(text: string): number {
  return parseWhole(text, 1, 999_999_999_999_999);
}

/** A port to listen at: 0 picks a free one. */
export function parseListenPort(text: string): number {
  return parseWhole(text, 0, portMax);
}

/** A port to connect to. */
export function parseRemotePort(text: string): number {
  return parseWhole(text, 1, portMax);
}

/** '65536 bytes (64 KiB)'. */
export function formatSize(bytes: number): string {
  const plain = `${bytes} ${bytes === 1 ? 'byte' : 'bytes'}`;
  const power = units.findLastIndex((_, each) => each > 0 && bytes % 1024 ** each === 0);
  return power < 1 ? plain : `${plain} (${bytes / 1024 ** power} ${units[power]})`;
}

/** '127.0.0.1:7204', '[::1]:7204'. */
export function formatPlace(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
