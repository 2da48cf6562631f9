// SPDX-License-Identifier: BSD-3-Clause
//
// The server of this example in several threads: the main thread listens and hands each request to
// a worker, which accepts the connection and reads the name. Awaits promises; server.ts waits in
// epoll(7) instead. See README.md.

import { describeFailure } from '../common/failure.js';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { type Endpoint, type HandOverTicket, IncomingRequest, MemoryUsage, Peer } from 'rpma';
import { readArguments, readCount } from '../common/arguments.js';
import { unpackCommonData } from '../common/common-data.js';
import { announce, disconnectAndWait } from '../common/connection.js';
import { nameBytes, readName } from '../common/names.js';

const workersMax = 2;
const clientsMax = 10;
const silenceMs = 15_000;

/** What a worker says when a client has left: its name, or why there is none. */
interface Word {
  readonly name?: string;
  readonly failure?: string;
}

if (isMainThread) await listenAndPassOn();
else serve(workerData as HandOverTicket);

async function listenAndPassOn(): Promise<void> {
  const {
    address,
    port,
    rest: [countText],
  } = readArguments('server-workers <address> <port> [<clients>]');
  const count = countText === undefined ? Infinity : readCount('<clients>', countText, 1_000_000);
  await using peer = await Peer.open({ localAddress: address });
  await using endpoint = await peer.listen(address, port);
  announce(endpoint);
  console.log('Today I have got in touch with:');

  const finished = new AbortController();
  let here = 0;
  let gone = 0;
  let failure: Error | undefined;
  const workers = Array.from({ length: workersMax }, () => {
    const worker = new Worker(new URL(import.meta.url), { workerData: peer.share() });
    worker.on('message', ({ name, failure: why }: Word) => {
      if (name === undefined) failure ??= new Error(why);
      else console.log(`- ${name}`);
      here--;
      if (++gone >= count) finished.abort();
    });
    return worker;
  });

  for (let turn = 0; gone < count; turn++) {
    const request = await nextUntil(endpoint, finished.signal);
    if (request === null) break;
    if (here < clientsMax) {
      here++;
      workers[turn % workersMax]?.postMessage(request.handOver());
    } else {
      request.reject();
      console.error('All slots are busy: a client was rejected.');
    }
  }
  if (gone < count) console.error('Server timed out.');
  await Promise.all(workers.map((worker) => worker.terminate()));
  if (failure !== undefined) throw failure;
}

/** null when there was none for so long, or the signal says that there need be no more. */
async function nextUntil(endpoint: Endpoint, signal: AbortSignal): Promise<IncomingRequest | null> {
  try {
    return await endpoint.take({ timeoutMs: silenceMs, signal });
  } catch (error) {
    if (signal.aborted) return null;
    throw error;
  }
}

function serve(share: HandOverTicket): void {
  const peer = Peer.adopt(share);
  const tell = (word: Word): void => parentPort?.postMessage(word);
  parentPort?.on('message', (ticket: HandOverTicket) => {
    nameOfClient(peer, ticket).then(
      (name) => tell({ name }),
      (error: unknown) => tell({ failure: String(describeFailure(error)) }),
    );
  });
}

async function nameOfClient(peer: Peer, ticket: HandOverTicket): Promise<string> {
  using request = IncomingRequest.adopt(ticket); // rejects it, should it not be accepted
  const { region: remote } = unpackCommonData(request.privateData);
  await using local = await peer.allocate(nameBytes, { usage: MemoryUsage.ReadDestination });
  await using connection = await request.accept().whenEstablished();
  await connection.read({ local, remote, length: nameBytes });
  await disconnectAndWait(connection);
  return readName(local.bytes);
}
