// SPDX-License-Identifier: BSD-3-Clause
//
// Sudden ends: a process is killed, or stopped, with operations outstanding. Every accepted operation
// has exactly one outcome.

import assert from 'node:assert/strict';
import { type Completion, type Connection, type MemoryRegion, RemoteRegion } from 'rpma';
import { Child, fromHex } from '../support/child.js';
import { conform, withCode } from '../support/conform.js';
import { timed, until, withDeadline } from '../support/deadline.js';
import type { SeededRandom } from '../support/random.js';
import { localUsage, posted, takeRest, type World } from '../support/world.js';
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

interface Ledger {
  next: number;
  readonly always: Set<number>;
  readonly onError: Set<number>;
  readonly completions: Completion[];
}

function newLedger(): Ledger {
  return { next: 0, always: new Set(), onError: new Set(), completions: [] };
}

/** Fills the send queue with a random mix, and the receive queue. */
function fill(prey: Prey, ledger: Ledger, random: SeededRandom): void {
  const { connection, local, remote } = prey;
  while (connection.sendQueueFree > 0) {
    const id = ledger.next++;
    const completion = random.pick(['always', 'always', 'on-error'] as const);
    const range = { local, remote, length: random.pick([0, 8, 4096, 300_000]) };
    const options = { id, completion };
    const kind = random.below(4);
    const accepted = posted(() => {
      if (kind === 0) connection.postRead({ ...range, ...options });
      else if (kind === 1) connection.postWrite({ ...range, ...options });
      else if (kind === 2) connection.postAtomicWrite({ remote, value: 9n, ...options });
      else connection.postFlush({ remote, length: range.length, type: 'visibility', ...options });
    });
    if (!accepted) return;
    (completion === 'always' ? ledger.always : ledger.onError).add(id);
  }
  while (connection.receiveQueueFree > 0) {
    if (!posted(() => connection.postReceive({ length: 0, id: ledger.next }))) return;
    ledger.always.add(ledger.next++);
  }
}

function audit(ledger: Ledger): void {
  const seen = new Set<number>();
  for (const { id, ok } of ledger.completions) {
    assert.ok(!seen.has(id), `operation ${id} completed twice`);
    seen.add(id);
    if (ledger.onError.has(id)) assert.equal(ok, false, `on-error ${id} completed with success`);
  }
  const missing = [...ledger.always].filter((id) => !seen.has(id));
  assert.deepEqual(missing, [], 'operations without an outcome');
}

conform('sudden ends', ({ it }) => {
  it('a target killed amid traffic: one outcome for every operation', async (world) => {
    const random = world.random(81);
    for (let round = 0; round < 3; round++) {
      const prey = await connected(world);
      const ledger = newLedger();
      const { completionQueue } = prey.connection;
      for (let cycles = random.between(5, 40); cycles > 0; cycles--) {
        fill(prey, ledger, random);
        const first = await completionQueue.take({ timeoutMs: 5000 });
        if (first !== null) ledger.completions.push(first, ...completionQueue.poll(32));
      }
      fill(prey, ledger, random);
      const killed = prey.child.kill();
      ledger.completions.push(...(await takeRest(completionQueue)));
      await killed;
      const end = await withDeadline(prey.connection.whenClosed(), 'the end');
      assert.ok(end.type === 'closed' || end.type === 'lost', end.type);
      audit(ledger);
      assert.ok(ledger.completions.some((each) => !each.ok));
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
      const ledger = newLedger();
      for (let id = 0; id < 10; id++) {
        const read = { local, remote, length: sizeBytes, id };
        if (posted(() => connection.postRead(read))) ledger.always.add(id);
        const receive = { length: 0, id: 100 + id } as const;
        if (posted(() => connection.postReceive(receive))) ledger.always.add(100 + id);
      }
      await child.kill();
      ledger.completions.push(...(await takeRest(connection.completionQueue)));
      audit(ledger);
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
    const ledger = newLedger();
    for (let n = 0; n < 30; n++) {
      const range = { remote: prey.remote, length: sizeBytes };
      const write = { local: prey.local, ...range, id: ledger.next };
      if (!posted(() => prey.connection.postWrite(write))) break;
      ledger.always.add(ledger.next++);
      const flush = { ...range, type: 'persistent' as const, id: ledger.next };
      if (!posted(() => prey.connection.postFlush(flush))) break;
      ledger.always.add(ledger.next++);
    }
    const first = await prey.connection.completionQueue.take({ timeoutMs: 5000 });
    assert.ok(first !== null);
    ledger.completions.push(first);
    await prey.child.kill();
    ledger.completions.push(...(await takeRest(prey.connection.completionQueue)));
    audit(ledger);
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
