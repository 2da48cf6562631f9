// SPDX-License-Identifier: BSD-3-Clause
//
// A peer without our extension, played by a script over a bare TCP socket: what the C library over
// siw, or a card, looks like to the library that connects to it.

import type { Connection, ConnectionOptions, MemoryRegion, Peer } from 'rpma';
import { withDeadline } from './deadline.js';
import { encodeSetup, plainSetup, type SetupFrame, setupFlags } from './iwarp.js';
import { ScriptedListener, type ScriptedPeer } from './scripted-peer.js';
import { localUsage, type World } from './world.js';

export interface PlainResponder {
  readonly script: ScriptedPeer;
  readonly connection: Connection;
  /** What the library asked for. */
  readonly request: SetupFrame;
  readonly local: MemoryRegion;
  readonly peer: Peer;
}

/** The library connects to a scripted responder that gives a plain Reply. */
export async function plainResponder(
  world: World,
  reply: SetupFrame = plainSetup('reply'),
  options?: ConnectionOptions,
): Promise<PlainResponder> {
  const listener = await ScriptedListener.open(world.test);
  const peer = await world.peer();
  const outgoing = await peer.createConnectionRequest('127.0.0.1', listener.port, {
    connection: options,
  });
  const connection = outgoing.connect({ privateData: Uint8Array.of(1, 2) });
  const script = await listener.accept(world.test);
  const request = await script.setup();
  script.crc = (reply.flags & setupFlags.crc) !== 0;
  script.write(encodeSetup(reply));
  await withDeadline(connection.whenEstablished(), 'established');
  const local = await peer.allocate(8192, { usage: localUsage });
  return { script, connection, request, local, peer };
}
