// SPDX-License-Identifier: BSD-3-Clause
//
// The greeting that examples 03 to 05 move. It has the layout of librpma's hello_t, 1028 bytes: an
// i32 with the language at 0, then 1024 bytes with a string that ends in a zero byte. It lies in
// memory that is registered, so it is changed in place.

export const helloBytes = 1028;
export const helloTextOffset = 4;
export const helloTextBytes = 1024;

const greetings = ['Hello world!', '¡Hola Mundo!'] as const; // by language: English, Spanish

/** Writes the English greeting. */
export function initialiseHello(hello: Uint8Array): void {
  writeHello(hello, 0);
}

/** Changes the language, so that the next greeting is a surprise. */
export function translateHello(hello: Uint8Array): void {
  writeHello(hello, languageOf(hello) === 0 ? 1 : 0);
}

export function helloText(hello: Uint8Array): string {
  return readText(hello.subarray(helloTextOffset));
}

/** The text before the first zero byte. */
export function readText(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(bytes.subarray(0, end < 0 ? bytes.length : end));
}

function languageOf(hello: Uint8Array): number {
  return new DataView(hello.buffer, hello.byteOffset).getInt32(0, true);
}

function writeHello(hello: Uint8Array, language: 0 | 1): void {
  hello.fill(0, 0, helloBytes);
  new DataView(hello.buffer, hello.byteOffset).setInt32(0, language, true);
  new TextEncoder().encodeInto(greetings[language], hello.subarray(helloTextOffset));
}
