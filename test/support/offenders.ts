// SPDX-License-Identifier: BSD-3-Clause
//
// Accepted peers that use memory which they were not granted.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { Endpoint } from 'rpma';
import { opcodes, taggedFrame } from './iwarp.js';
import { ScriptedPeer } from './scripted-peer.js';

/** Connects, is accepted, writes where nothing is granted, and is told so. */
export async function wrongWrite(test: TestContext, endpoint: Endpoint): Promise<void> {
  const script = await ScriptedPeer.dial(test, endpoint.port);
  const replied = script.request();
  const incoming = await endpoint.take({ timeoutMs: 10_000 });
  assert.ok(incoming !== null);
  const connection = incoming.accept();
  await replied;
  script.write(taggedFrame(opcodes.write, 0xbad, 0n, new Uint8Array(8)));
  assert.equal(await script.terminate(), '1/1/0');
  await connection.whenClosed();
  script.socket.destroy();
}
