// SPDX-License-Identifier: BSD-3-Clause
//
// How the examples listen, accept and part. Two orders of parting exist, as in librpma's examples:
// the side that is done disconnects and waits for the other (disconnectAndWait), the other waits
// and then answers (waitAndDisconnect).

import {
  type Completion,
  completionError,
  type CompletionQueue,
  type Connection,
  type Endpoint,
  type IncomingRequest,
  RpmaError,
} from 'rpma';

/** Prints where the server listens; port 0 has become a real one by now. */
export function announce(endpoint: Endpoint): void {
  const address = endpoint.address.includes(':') ? `[${endpoint.address}]` : endpoint.address;
  console.log(`listening on ${address}:${endpoint.port}`);
}

/** Waits for the one client that an example serves. */
export async function nextRequest(endpoint: Endpoint): Promise<IncomingRequest> {
  const request = await endpoint.take();
  if (request === null) throw new Error('the endpoint was closed while waiting for a client');
  return request;
}

/** Accepts the one client and waits until the connection is up. */
export async function acceptOne(endpoint: Endpoint, privateData?: Uint8Array): Promise<Connection> {
  const request = await nextRequest(endpoint);
  return request.accept({ privateData }).whenEstablished();
}

/** Waits for the next completion of what was posted, or throws why there is none. */
export function nextCompletion(connection: Connection): Promise<Completion> {
  return completionOf(connection, connection.completionQueue);
}

/** Waits for the next completion in one of the connection's queues. */
export async function completionOf(
  connection: Connection,
  queue: CompletionQueue | null,
): Promise<Completion> {
  return succeeded(connection, (await queue?.take()) ?? null);
}

/** The completion, or throws why it failed or why there is none. */
export async function succeeded(
  connection: Connection,
  completion: Completion | null,
): Promise<Completion> {
  if (completion === null) {
    const { error } = await connection.whenClosed();
    throw error ?? new RpmaError('ERR_RPMA_CLOSED', 'the other side left before it was done');
  }
  if (!completion.ok) throw completionError(completion);
  return completion;
}

/** A signal that the connection has ended. */
export function endSignal(connection: Connection): AbortSignal {
  const end = new AbortController();
  void connection.whenClosed().then(() => {
    end.abort();
  });
  return end.signal;
}

/** Waits for the next completion in a queue that other connections use, too, as long as `end`. */
export async function nextCompletionIn(
  queue: CompletionQueue,
  connection: Connection,
  end: AbortSignal,
): Promise<Completion> {
  try {
    const completion = queue.tryTake() ?? (await queue.take({ signal: end }));
    if (completion?.ok) return completion;
    if (completion !== null) throw completionError(completion);
  } catch (error) {
    if (!end.aborted) throw error;
  }
  const { error } = await connection.whenClosed();
  throw error ?? new RpmaError('ERR_RPMA_CLOSED', 'the other side left before it was done');
}

export async function disconnectAndWait(connection: Connection): Promise<void> {
  connection.disconnect();
  await expectClosed(connection);
  await connection.close();
}

export async function waitAndDisconnect(connection: Connection): Promise<void> {
  await expectClosed(connection);
  await connection.close(); // disconnects this side too
}

async function expectClosed(connection: Connection): Promise<void> {
  const { type, error } = await connection.whenClosed();
  if (type !== 'closed') throw error ?? new RpmaError('ERR_RPMA_CONNECTION_LOST', type);
}
