// SPDX-License-Identifier: BSD-3-Clause
//
// What is refused says what was refused, whom it concerns and what helps; and what was refused has
// left no trace. The messages are for people: these tests hold the words a reader needs.

import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { CompletionBatch, type Connection, Peer, PmemFile } from 'rpma';
import { conform, withCode } from '../support/conform.js';
import { until, withDeadline } from '../support/deadline.js';
import { takeOk, type World } from '../support/world.js';

/** For assert.throws and assert.rejects: a code, and what the message says. */
function saying(code: string, ...words: readonly RegExp[]): (error: unknown) => true {
  return (error) => {
    withCode(code)(error);
    for (const word of words) assert.match((error as Error).message, word);
    return true;
  };
}

/** Whatever a caller without types might pass. */
const untyped = (options: Readonly<Record<string, unknown>>): never => options as never;

/** A port at which somebody accepts and says nothing. */
async function silentPort(world: World): Promise<number> {
  const silent = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  world.after(() => void silent.close());
  const address = silent.address();
  assert.ok(typeof address === 'object' && address !== null);
  return address.port;
}

/** A port at which nothing listens any more. */
async function closedPort(peer: Peer): Promise<number> {
  const endpoint = await peer.listen('127.0.0.1', 0);
  await endpoint.close();
  return endpoint.port;
}

/** A connection that is not established, and stays so. */
async function pendingConnection(world: World): Promise<{ connection: Connection; port: number }> {
  const port = await silentPort(world);
  const peer = await world.peer();
  const request = await peer.createConnectionRequest('127.0.0.1', port);
  return { connection: request.connect(), port };
}

conform('what this version does not have', ({ provider, it }) => {
  it('options of a peer and of memory', async (world) => {
    const open = (options: Readonly<Record<string, unknown>>): Promise<Peer> =>
      Peer.open(untyped({ provider, localAddress: '127.0.0.1', ...options }));
    const refused = (name: string) => saying('NOT_SUPPORTED', new RegExp(name));
    await assert.rejects(open({ preferLocal: true }), refused('preferLocal'));
    await assert.rejects(open({ progressThreads: 2 }), refused('progressThreads'));
    await assert.rejects(open({ progressThreads: 0 }), refused('progressThreads'));
    const peer = await open({ preferLocal: false, progressThreads: 1 });
    world.after(() => peer.close());
    const memory = new ArrayBuffer(64);
    await assert.rejects(
      peer.register(memory, untyped({ usage: 1, shareWholeFile: true })),
      refused('shareWholeFile'),
    );
    await peer.register(memory, untyped({ usage: 1, shareWholeFile: false }));
  });
});

conform('a refused awaited operation', ({ it }) => {
  it('claims no queue and is named: before the connection is established', async (world) => {
    const { connection } = await pendingConnection(world);
    await assert.rejects(connection.write({ length: 0 }), saying('STATE', /^write: /));
    await assert.rejects(connection.send({ length: 0 }), saying('STATE', /^send: /));
    assert.equal(connection.completionQueue.claimedBy, 'nobody');
    assert.equal(connection.completionQueue.tryTake(), null);
    assert.equal(connection.completionQueue.claimedBy, 'verbs-tier');
  });

  it('claims no queue: with a signal that is aborted already, or without room', async (world) => {
    const { initiator } = await world.pair({ initiator: { sendQueueSize: 1 } });
    const queue = initiator.completionQueue;
    const { remote } = await world.lend(await world.pair());
    const signal = AbortSignal.abort();
    const aborted = withCode('ABORTED', { operation: 'write', mayHaveTakenEffect: false });
    await assert.rejects(initiator.write({ length: 0, signal }), aborted);
    const flushed = initiator.atomicWrite({ remote, value: 1n, until: 'delivered' });
    await assert.rejects(flushed, saying('NOT_SUPPORTED', /sendQueueSize/));
    assert.equal(queue.claimedBy, 'nobody');
    initiator.postWrite({ length: 0 });
    await takeOk(queue);
    assert.equal(queue.claimedBy, 'verbs-tier');
  });

  it('is named once the connection has ended', async (world) => {
    const { initiator } = await world.pair();
    await withDeadline(initiator.close(), 'close()');
    await assert.rejects(initiator.write({ length: 0 }), saying('CLOSED', /^write: /));
    await assert.rejects(initiator.receive({ length: 0 }), saying('CLOSED', /^receive: /));
    assert.equal(initiator.completionQueue.claimedBy, 'nobody');
  });
});

conform('a connection that does not come up', ({ provider, it }) => {
  it('in time says so, with the place and the whole bound', async (world) => {
    const { connection, port } = await pendingConnection(world);
    const place = new RegExp(`127\\.0\\.0\\.1:${port} was not established within 20 ms$`);
    const waited = connection.whenEstablished({ timeoutMs: 19.5 });
    await assert.rejects(waited, saying('TIMEOUT', place));
    const peer = await world.peer();
    const connecting = peer.connect('127.0.0.1', port, { timeoutMs: 20 });
    await assert.rejects(connecting, saying('TIMEOUT', place));
  });

  it('at a port where nothing listens names it and the cure', async (world) => {
    const peer = await world.peer();
    const port = await closedPort(peer);
    const place = `127\\.0\\.0\\.1:${port}`;
    const words = [new RegExp(`with ${place} rejected`)];
    if (provider === 'iwarp') words.push(new RegExp(`nothing listens at ${place}: start `));
    await assert.rejects(peer.connect('127.0.0.1', port), saying('REJECTED', ...words));
  });

  it('because of the other side names it', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    const connecting = peer.connect('127.0.0.1', endpoint.port);
    const named = new RegExp(`with 127\\.0\\.0\\.1:${endpoint.port} rejected`);
    const refused = assert.rejects(connecting, saying('REJECTED', named));
    (await withDeadline(endpoint.take(), 'a request'))?.reject();
    await withDeadline(refused, 'the outcome');
    const port = await silentPort(world);
    const silent = peer.connect('127.0.0.1', port, { connection: { connectTimeoutMs: 50 } });
    const place = new RegExp(`with 127\\.0\\.0\\.1:${port} unreachable`);
    await assert.rejects(withDeadline(silent, 'the outcome'), saying('UNREACHABLE', place));
  });

  it('and one that is lost names the other side', async (world) => {
    const { initiator, target, endpoint } = await world.pair();
    target.destroy();
    const { error } = await withDeadline(initiator.whenClosed(), 'the end');
    if (error === undefined) return; // it ended in good order after all
    assert.match(error.message, new RegExp(`with 127\\.0\\.0\\.1:${endpoint.port} lost: `));
  });
});

conform('a file that is not there', ({ it }) => {
  it('is named with what makes it', async (world) => {
    const folder = await world.folder();
    const path = join(folder, 'absent.pmem');
    const file = saying('PROVIDER', /absent\.pmem/, /create: true and sizeBytes/);
    await assert.rejects(PmemFile.map(path), file);
    const below = join(folder, 'nowhere', 'absent.pmem');
    const missing = saying('PROVIDER', /the folder '.*nowhere' is not there: make it/);
    await assert.rejects(PmemFile.map(below), missing);
    await assert.rejects(PmemFile.map(below, { create: true, sizeBytes: 4096 }), missing);
  });
});

conform('a batch', ({ it }) => {
  it('says whether an operation may have taken effect, as its completions do', async (world) => {
    const { initiator, target } = await world.pair({ initiator: { sendQueueSize: 4 } });
    const batch = new CompletionBatch(8);
    initiator.postWrite({ length: 0, id: 1 });
    await until(() => initiator.completionQueue.pollInto(batch) > 0, 'a completion');
    assert.equal(batch.mayHaveTakenEffect(0), true);
    assert.throws(() => batch.mayHaveTakenEffect(1), RangeError);
    for (let id = 2; id < 6; id++) initiator.postSend({ length: 0, id });
    target.destroy();
    await withDeadline(initiator.whenClosed(), 'the end');
    const seen: boolean[] = [];
    while (initiator.completionQueue.pollInto(batch) > 0) {
      for (const [index, completion] of [...batch].entries()) {
        assert.equal(batch.mayHaveTakenEffect(index), completion.mayHaveTakenEffect);
        seen.push(completion.mayHaveTakenEffect);
      }
    }
    assert.equal(seen.length, 4);
  });
});
