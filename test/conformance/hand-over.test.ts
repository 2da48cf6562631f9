// SPDX-License-Identifier: BSD-3-Clause
//
// Tickets: what share() and handOver() give and adopt() takes, in the same thread and in a worker,
// and every way in which a ticket is refused.

import assert from 'node:assert/strict';
import { Connection, type HandOverTicket, IncomingRequest, MemoryRegion, Peer } from 'rpma';
import { toHex } from '../support/child.js';
import { argumentError, conform, withCode } from '../support/conform.js';
import { until, withDeadline } from '../support/deadline.js';
import { HandOverWorker } from '../support/hand-over.js';
import { localUsage, remoteUsage, takeAll, type World } from '../support/world.js';

/** A worker that ends with the test. */
function workerOf(world: World): HandOverWorker {
  const worker = new HandOverWorker();
  world.after(() => worker.end());
  return worker;
}

/** A worker that has the initiator's peer. */
async function workerWith(world: World, peer: Peer): Promise<HandOverWorker> {
  const worker = workerOf(world);
  assert.equal(await worker.ask('adoptPeer', peer.share()), world.provider);
  return worker;
}

/** A request that has arrived, and the connection that waits for its answer. */
async function incoming(world: World): Promise<{
  readonly peer: Peer;
  readonly request: IncomingRequest;
  readonly outcome: Promise<Connection>;
}> {
  const peer = await world.peer();
  const endpoint = await peer.listen('127.0.0.1', 0);
  const outcome = (await world.peer()).connect('127.0.0.1', endpoint.port, {
    privateData: Uint8Array.of(1, 2, 3),
  });
  outcome.catch(() => undefined);
  const request = await withDeadline(endpoint.take(), 'a request');
  assert.ok(request !== null);
  return { peer, request, outcome };
}

conform('tickets', ({ it }) => {
  it('are plain values that structuredClone takes', async (world) => {
    const peer = await world.peer();
    const ticket = structuredClone(peer.share());
    assert.deepEqual(Object.keys(ticket), ['kind', 'token']);
    assert.equal(ticket.kind, 'peer');
    assert.equal(Peer.adopt(ticket), peer);
  });

  it('are good once', async (world) => {
    const peer = await world.peer();
    const ticket = peer.share();
    Peer.adopt(ticket);
    assert.throws(() => Peer.adopt(ticket), withCode('HAND_OVER'));
    assert.throws(() => Peer.adopt(ticket), /used before.*one for each adopter/);
  });

  it('expire', async (world) => {
    const peer = await world.peer();
    const ticket = peer.share({ timeoutMs: 1 });
    const end = performance.now() + 2;
    await until(() => performance.now() > end, 'its time');
    assert.throws(() => Peer.adopt(ticket), withCode('HAND_OVER'));
    assert.throws(() => Peer.adopt(ticket), /expired.*longer timeoutMs/);
  });

  it('are refused when nobody issued them', async () => {
    const unknown: HandOverTicket = { kind: 'peer', token: 'a token' };
    assert.throws(() => Peer.adopt(unknown), withCode('HAND_OVER'));
    assert.throws(() => Peer.adopt(unknown), /no such ticket.*unchanged/);
  });

  it('are refused in another process', async (world) => {
    const { token } = (await world.peer()).share();
    const first = token.startsWith('0') ? '1' : '0';
    const foreign = { kind: 'peer', token: first + token.slice(1) } as const;
    assert.throws(() => Peer.adopt(foreign), withCode('HAND_OVER'));
    assert.throws(() => Peer.adopt(foreign), /another process/);
  });

  it('name the method that adopts them, and stay good', async (world) => {
    const peer = await world.peer();
    const region = await peer.allocate(64, { usage: localUsage });
    const pair = await world.pair();
    const { request } = await incoming(world);
    const tickets = [
      [peer.share(), /Peer\.adopt/],
      [region.share(), /MemoryRegion\.adopt/],
      [request.handOver(), /IncomingRequest\.adopt/],
      [pair.initiator.handOver(), /[^.]Connection\.adopt/],
    ] as const;
    const adopters = [Peer, MemoryRegion, IncomingRequest, Connection];
    for (const [index, [ticket, cure]] of tickets.entries()) {
      for (const [other, adopter] of adopters.entries()) {
        if (other === index) continue;
        assert.throws(() => adopter.adopt(ticket), withCode('HAND_OVER'));
        assert.throws(() => adopter.adopt(ticket), cure);
      }
    }
    assert.equal(Peer.adopt(tickets[0][0]), peer);
    await MemoryRegion.adopt(tickets[1][0]).close();
    IncomingRequest.adopt(tickets[2][0]).reject();
    assert.equal(Connection.adopt(tickets[3][0]).state, 'established');
  });

  it('are bounded, and refused beyond', async (world) => {
    const peer = await world.peer();
    const tickets: HandOverTicket[] = [];
    assert.throws(() => {
      for (let i = 0; i <= 1024; i++) tickets.push(peer.share());
    }, withCode('LIMIT'));
    for (const ticket of tickets) Peer.adopt(ticket);
    Peer.adopt(peer.share());
  });

  it('must be tickets, and have a time that can be', async (world) => {
    const peer = await world.peer();
    for (const adopter of [Peer, MemoryRegion, IncomingRequest, Connection]) {
      for (const wrong of [undefined, null, 7, 'token', {}, { kind: 'peer' }, { token: 'x' }]) {
        assert.throws(
          () => adopter.adopt(wrong as never),
          argumentError('TypeError', 'INVALID_ARG_TYPE'),
        );
      }
    }
    for (const timeoutMs of [0, -1, 1.5, Infinity, 2 ** 31]) {
      assert.throws(() => peer.share({ timeoutMs }), argumentError('RangeError', 'OUT_OF_RANGE'));
    }
    assert.throws(() => peer.share(null as never), argumentError('TypeError', 'INVALID_ARG_TYPE'));
  });
});

conform('a shared peer', ({ it }) => {
  it('connects from a worker, and outlives the one that shared it', async (world) => {
    const target = await world.peer();
    const endpoint = await target.listen('127.0.0.1', 0);
    const peer = await world.peer();
    const worker = await workerWith(world, peer);
    const connecting = peer.connect('127.0.0.1', endpoint.port);
    const request = await withDeadline(endpoint.take(), 'a request');
    request?.accept();
    const connection = await withDeadline(connecting, 'a connection');
    const local = await peer.allocate(64, { usage: localUsage });
    const lent = await target.allocate(64, { usage: remoteUsage });
    await worker.ask('adoptRegion', local.share());
    await worker.ask('adoptConnection', connection.handOver());
    await peer.close();
    await worker.ask('store', 7);
    await worker.ask('write', { descriptor: toHex(lent.toDescriptor()), until: 'delivered' });
    assert.equal(lent.bytes[63], 7);
  });

  it('stays open here when a worker closes it', async (world) => {
    const pair = await world.pair();
    const worker = await workerWith(world, pair.initiatorPeer);
    await worker.ask('closePeer', undefined);
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    await pair.initiator.write({ local, remote, length: 8, until: 'delivered' });
  });

  it('is needed before anything of it can be adopted', async (world) => {
    const pair = await world.pair();
    const { peer, request } = await incoming(world);
    const local = await world.local(pair);
    const worker = workerOf(world);
    const region = local.share();
    const asked = request.handOver();
    const connection = pair.initiator.handOver();
    for (const [job, ticket] of [
      ['adoptRegion', region],
      ['accept', asked],
      ['adoptConnection', connection],
    ] as const) {
      await assert.rejects(worker.ask(job, ticket), { code: 'ERR_RPMA_FOREIGN' });
      await assert.rejects(worker.ask(job, ticket), /Peer\.adopt\(\).*stays good/);
    }
    await worker.ask('adoptPeer', pair.initiatorPeer.share());
    await worker.ask('adoptPeer', peer.share());
    await worker.ask('adoptRegion', region);
    await worker.ask('accept', asked);
    assert.equal(await worker.ask('adoptConnection', connection), 'established');
  });

  it('cannot be adopted while it is being closed here', async (world) => {
    const peer = await world.peer();
    const region = await peer.allocate(64, { usage: localUsage });
    const tickets = [peer.share(), region.share()] as const;
    const closing = peer.close();
    assert.throws(() => Peer.adopt(tickets[0]), withCode('CLOSED'));
    assert.throws(() => MemoryRegion.adopt(tickets[1]), withCode('CLOSED'));
    await closing;
    assert.throws(() => peer.share(), withCode('CLOSED'));
  });
});

conform('a shared region', ({ it }) => {
  it('is the same memory under the same descriptor in a worker', async (world) => {
    const peer = await world.peer();
    const region = await peer.allocate(4096, { usage: remoteUsage });
    const worker = await workerWith(world, peer);
    const { descriptor, sizeBytes } = await worker.ask('adoptRegion', region.share());
    assert.equal(descriptor, toHex(region.toDescriptor()));
    assert.equal(sizeBytes, 4096);
    await worker.ask('store', 9);
    assert.equal(region.bytes[4095], 9);
    region.bytes.fill(4);
    assert.equal(await worker.ask('load', undefined), 4);
  });

  it('is revoked when the last thread closes it', async (world) => {
    const pair = await world.pair();
    const { region, remote } = await world.lend(pair);
    const local = await world.local(pair);
    const worker = await workerWith(world, pair.targetPeer);
    await worker.ask('adoptRegion', region.share());
    await region.close();
    assert.equal(region.bytes.length, 0);
    await pair.initiator.write({ local, remote, length: 8, until: 'delivered' });
    await worker.ask('closeRegion', undefined);
    await assert.rejects(
      pair.initiator.write({ local, remote, length: 8, until: 'delivered' }),
      withCode('WC_REMOTE_ACCESS'),
    );
  });

  it('is held open by its ticket', async (world) => {
    const pair = await world.pair();
    const { region, remote } = await world.lend(pair);
    const local = await world.local(pair);
    const ticket = region.share();
    await region.close();
    await pair.initiator.write({ local, remote, length: 8, until: 'delivered' });
    const again = MemoryRegion.adopt(ticket);
    assert.deepEqual(again.toDescriptor(), remote.toDescriptor());
    assert.equal(again.peer, pair.targetPeer);
    await again.close();
  });

  it('over a SharedArrayBuffer brings the buffer', async (world) => {
    const peer = await world.peer();
    const buffer = new SharedArrayBuffer(4096);
    const region = await peer.register(buffer, { usage: remoteUsage, offset: 64, length: 128 });
    const ticket = region.share();
    assert.equal(ticket.memory, buffer);
    const { kind, token } = ticket;
    assert.throws(() => MemoryRegion.adopt({ kind, token }), withCode('HAND_OVER'));
    const other = new SharedArrayBuffer(4096);
    assert.throws(
      () => MemoryRegion.adopt({ kind, token, memory: other }),
      /SharedArrayBuffer.*postMessage.*stays good/,
    );
    const worker = await workerWith(world, peer);
    await worker.ask('adoptRegion', ticket);
    await worker.ask('store', 3);
    const bytes = new Uint8Array(buffer);
    assert.deepEqual([bytes[63], bytes[64], bytes[191], bytes[192]], [0, 3, 3, 0]);
    const late = region.share();
    await worker.ask('closeRegion', undefined);
    await region.close();
    assert.throws(() => MemoryRegion.adopt(late), withCode('HAND_OVER'));
  });

  it('is not over an ArrayBuffer', async (world) => {
    const peer = await world.peer();
    const region = await peer.register(new ArrayBuffer(64), { usage: localUsage });
    assert.throws(() => region.share(), withCode('NOT_SUPPORTED'));
    assert.throws(() => region.share(), /SharedArrayBuffer.*allocate/);
  });

  it('keeps its file mapped in every thread', async (world) => {
    const peer = await world.peer();
    const file = await world.file(8192);
    const region = await peer.register(file, { usage: remoteUsage, offset: 4096 });
    const worker = await workerWith(world, peer);
    await worker.ask('adoptRegion', region.share());
    await region.close();
    await assert.rejects(file.unmap(), withCode('BUSY'));
    await worker.ask('store', 5);
    assert.equal(file.bytes[4095], 0);
    assert.equal(file.bytes[4096], 5);
    await worker.ask('closeRegion', undefined);
    await file.unmap();
  });
});

conform('a request that is handed over', ({ it }) => {
  it('is accepted by a worker', async (world) => {
    const { peer, request, outcome } = await incoming(world);
    const worker = await workerWith(world, peer);
    await worker.ask('accept', request.handOver());
    assert.equal((await withDeadline(outcome, 'its connection')).state, 'established');
    assert.throws(() => request.accept(), withCode('STATE'));
    assert.throws(() => request.handOver(), withCode('STATE'));
  });

  it('keeps its data, configuration and receives', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0, {
      connection: { receiveQueueSize: 3, receiveCompletionQueueSize: 3, crc: 'required' },
    });
    const outcome = (await world.peer()).connect('127.0.0.1', endpoint.port, {
      privateData: Uint8Array.of(4, 5),
    });
    const request = await withDeadline(endpoint.take(), 'a request');
    assert.ok(request !== null);
    request.postReceive({ length: 0, id: 77 });
    const again = IncomingRequest.adopt(request.handOver());
    assert.deepEqual(again.privateData, Uint8Array.of(4, 5));
    assert.deepEqual(again.config, request.config);
    assert.equal(again.peer, peer);
    assert.equal(again.remoteAddress, request.remoteAddress);
    const target = await again.accept().whenEstablished();
    const connection = await outcome;
    await connection.send({ length: 0 });
    assert.ok(target.receiveCompletionQueue !== null);
    const [received] = await takeAll(target.receiveCompletionQueue, 1);
    assert.equal(received?.id, 77);
  });

  it('is rejected when nobody adopts it', async (world) => {
    const { request, outcome } = await incoming(world);
    const ticket = request.handOver({ timeoutMs: 1 });
    await assert.rejects(withDeadline(outcome, 'its outcome'), withCode('REJECTED'));
    assert.throws(() => IncomingRequest.adopt(ticket), withCode('HAND_OVER'));
  });

  it('is refused with a queue of several connections', async (world) => {
    const peer = await world.peer();
    const completionQueue = await peer.createCompletionQueue();
    const endpoint = await peer.listen('127.0.0.1', 0, { connection: { completionQueue } });
    const outcome = (await world.peer()).connect('127.0.0.1', endpoint.port);
    const request = await withDeadline(endpoint.take(), 'a request');
    assert.throws(() => request?.handOver(), withCode('BUSY'));
    request?.accept();
    await outcome;
  });
});
