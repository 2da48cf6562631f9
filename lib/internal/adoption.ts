// SPDX-License-Identifier: BSD-3-Clause
//
// From a ticket to a connection or request of this thread. JS thread only.

import { RpmaError } from '../errors.js';
import type { HandOverTicket } from '../types.js';
import { ticketKindNumber } from './abi.generated.js';
import { ConnectionCore } from './connection-core.js';
import { decodeNote, type ConnectionNote } from './connection-note.js';
import { check } from './environment.js';
import { tokenOf } from './hand-over.js';
import { native } from './native.js';
import { forgetCollectedPeers, peerOfHandle, type PeerCore } from './peer-core.js';

/** The peer of something that was adopted; if it is closing, `end` ends what came too late. */
export function adoptersPeer(handle: number, what: string, end: () => void): PeerCore {
  const peer = peerOfHandle(handle);
  if (peer?.state === 'open') return peer;
  end();
  throw new RpmaError(
    'ERR_RPMA_CLOSED',
    `${what}: its peer is being closed in this thread, and what the ticket carried with it`,
  );
}

/** What is behind the connection or request that a ticket carries. */
export function adoptConnection(
  ticket: HandOverTicket,
  kind: 'request' | 'connection',
  what: string,
): { readonly core: ConnectionCore; readonly note: ConnectionNote } {
  const token = tokenOf(ticket);
  forgetCollectedPeers();
  const adopted = native.connectionAdopt(token, ticketKindNumber[kind]);
  if (typeof adopted === 'number') {
    check(adopted, what);
    throw new RpmaError('ERR_RPMA_INTERNAL', `${what}: nothing was adopted`);
  }
  const { connection, queue, receiveQueue } = adopted;
  const peer = adoptersPeer(adopted.peer, what, () => {
    native.connectionDestroy(connection);
    for (const handle of [queue, receiveQueue]) native.queueClose(handle);
  });
  const note = decodeNote(adopted.note);
  const core = new ConnectionCore(connection, peer, note.config, null, null, {
    note,
    queue,
    receiveQueue,
  });
  return { core, note };
}
