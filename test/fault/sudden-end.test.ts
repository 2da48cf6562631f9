// SPDX-License-Identifier: BSD-3-Clause
//
// Sudden ends: a process is killed, or stopped, with operations outstanding. Every accepted
// operation has exactly one outcome.

import assert from 'node:assert/strict';
import { type Connection, type MemoryRegion, RemoteRegion } from 'rpma';
import { Child, fromHex } from '../support/child.js';
import { conform, withCode } from '../support/conform.js';
import { timed, until, withDeadline } from '../support/deadline.js';
import { Ledger, type Load } from '../support/ledger.js';
import type { SeededRandom } from '../support/random.js';
import { localUsage, takeRest, type World } from '../support/world.js';
import type { Listening, TargetOptions } from './programs/target.js';

const targetProgram = new URL('./programs/target.js', import.meta.url);
const initiatorProgram = new URL('./programs/initiator.js', import.meta.url);
const sizeBytes = 1 << 20;

interface Prey {
  readonly child: Child;
  readonly connection: Connection;
  readonly local: MemoryRegion;
  readonly remote: RemoteRegion;
}

async function connected(world: World, changes: Partial<TargetOptions> = {}): Promise<Prey> {
  const options: TargetOptions = { address: '127.0.0.1', sizeBytes, ...changes };
  const child = Child.start(world.test, targetProgram, [JSON.stringify(options)], {
    env: { RPMA_PROVIDER: world.provider },
  });
  const { port, descriptor } = await child.expect<Listening>('listening');
  const peer = await world.peer();
  const local = await peer.allocate(sizeBytes, { usage: localUsage });
  const connection = await peer.connect('127.0.0.1', port, {
    connection: { sendQueueSize: 64, receiveQueueSize: 16, deadPeerTimeoutMs: 3000 },
  });
  await child.expect('established');
  return { child, connection, local, remote: RemoteRegion.fromDescriptor(fromHex(descriptor)) };
}

/** The load of a connection whose target is about to die. */
function loadOf({ connection, local, remote }: Prey, random: SeededRandom): Load {
  return { connection, local, remote, random, lengths: [0, 8, 4096, 300_000], sends: false };
}

conform('sudden ends', ({ it }) => {
  it('a target killed amid traffic: one outcome for every operation', async (world) => {
    const random = world.random(81);
    for (let round = 0; round < 3; round++) {
      const prey = await connected(world);
      const ledger = new Ledger();
      const load = loadOf(prey, random);
      const { completionQueue } = prey.connection;
      for (let cycles = random.between(5, 40); cycles > 0; cycles--) {
        ledger.fill(load);
        const first = await completionQueue.take({ timeoutMs: 5000 });
        if (first !== null) ledger.add(first, ...completionQueue.poll(32));
      }
      ledger.fill(load);
      const killed = prey.child.kill();
      ledger.add(...(await takeRest(completionQueue)));
      await killed;
      const end = await withDeadline(prey.connection.whenClosed(), 'the end');
      assert.ok(end.type === 'closed' || end.type === 'lost', end.type);
      ledger.audit();
      assert.ok(ledger.failures > 0);
      assert.equal(prey.local.inFlight, 0);
    }
  });

  it('promises pending at the death of the target all reject', async (world) => {
    const { child, connection, local, remote } = await connected(world);
    await connection.send({ length: 0 }); // parks there: all that follows waits
    const outcomes = Array.from({ length: 200 }, (_, n) => {
      const range = { local, remote, length: 64 };
      const operation = n % 2 === 0 ? connection.read(range) : connection.flush(flushOf(remote));
      return operation.then(
        () => 'resolved',
        (error: { code?: string }) => error.code ?? 'no code',
      );
    });
    await child.kill();
    const codes = await withDeadline(Promise.all(outcomes), 'all outcomes');
    assert.ok(!codes.includes('resolved'));
    assert.ok(codes.every((code) => code.startsWith('ERR_RPMA_')));
  });

  it('an initiator killed amid traffic: the target ends the connection, and goes on', async (world) => {
    const peer = await world.peer();
    const lent = await peer.allocate(sizeBytes, { usage: 0x01 | 0x08 | 0x10 });
    const local = await peer.allocate(sizeBytes, { usage: localUsage });
    const endpoint = await peer.listen('127.0.0.1', 0);
    for (let round = 0; round < 3; round++) {
      const args = ['127.0.0.1', String(endpoint.port)];
      const child = Child.start(world.test, initiatorProgram, args, {
        env: { RPMA_PROVIDER: world.provider },
      });
      const request = await endpoint.take({ timeoutMs: 10_000 });
      assert.ok(request !== null);
      const remote = RemoteRegion.fromDescriptor(request.privateData);
      const connection = request.accept({ privateData: lent.toDescriptor() });
      await withDeadline(connection.whenEstablished(), 'established');
      await child.expect('established');
      await child.expect('busy');
      const ledger = new Ledger();
      for (let n = 0; n < 10; n++) {
        const read = { local, remote, length: sizeBytes };
        ledger.post('always', (id) => connection.postRead({ ...read, id }));
        ledger.post('always', (id) => connection.postReceive({ length: 0, id }));
      }
      await child.kill();
      ledger.add(...(await takeRest(connection.completionQueue)));
      ledger.audit();
      await withDeadline(connection.whenClosed(), 'the end');
      assert.equal(local.inFlight, 0);
    }
    const living = await world.pair({ targetPeer: peer });
    living.initiator.postWrite({ length: 0, id: 1 });
    assert.equal((await living.initiator.completionQueue.take({ timeoutMs: 5000 }))?.id, 1);
  });

  it('a target killed during persistent flushes: none of them stays open', async (world) => {
    const path = `${await world.folder()}/target.pmem`;
    const prey = await connected(world, { path });
    const ledger = new Ledger();
    for (let n = 0; n < 30; n++) {
      const range = { remote: prey.remote, length: sizeBytes };
      const write = { local: prey.local, ...range };
      const flush = { ...range, type: 'persistent' as const };
      ledger.post('always', (id) => prey.connection.postWrite({ ...write, id }));
      ledger.post('always', (id) => prey.connection.postFlush({ ...flush, id }));
    }
    const first = await prey.connection.completionQueue.take({ timeoutMs: 5000 });
    assert.ok(first !== null);
    ledger.add(first);
    await prey.child.kill();
    ledger.add(...(await takeRest(prey.connection.completionQueue)));
    ledger.audit();
  });

  it('a stopped target is alive: deadlines end the waiting, and it goes on later', async (world) => {
    const { child, connection, remote } = await connected(world);
    await connection.flush(flushOf(remote));
    await child.stop();
    const attempt = connection.flush({ ...flushOf(remote), timeoutMs: 100 });
    const { elapsedMs } = await timed(assert.rejects(attempt, withCode('TIMEOUT')));
    assert.ok(elapsedMs < 1000);
    assert.equal(connection.state, 'established');
    assert.equal(connection.sendQueueFree, 63);
    await child.kill('SIGCONT');
    await until(() => connection.sendQueueFree === 64, 'the operation completes after all');
    await connection.flush(flushOf(remote));
  });

  it('close() towards a stopped target ends within its bound', async (world) => {
    const { child, connection, remote } = await connected(world);
    await child.stop();
    connection.postFlush({ ...flushOf(remote), id: 1 });
    const { elapsedMs } = await timed(connection.close({ timeoutMs: 200 }));
    assert.ok(elapsedMs < 2000, `${elapsedMs} ms`);
    const rest = await takeRest(connection.completionQueue);
    assert.deepEqual(
      rest.map((each) => [each.id, each.ok]),
      [[1, false]],
    );
  });
});

function flushOf(remote: RemoteRegion) {
  return { remote, length: 8, type: 'visibility' as const };
}
