// SPDX-License-Identifier: BSD-3-Clause
//
// A failure of the demonstration that needs no stack: its message says what happened and what
// helps.

export class DemoError extends Error {
  override readonly name: string = 'DemoError';
}
