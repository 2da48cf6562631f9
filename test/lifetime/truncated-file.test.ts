// SPDX-License-Identifier: BSD-3-Clause
// flavour: test
//
// A file that another process cuts short while peers and the program itself use it over many
// connections. The process lives; the connections that met the hole end, each with a code that is
// documented; the region over the hole is refused from then on; everybody else goes on. Each way of
// touching a hole has a native test of its own (engine_truncated_test.cc); here all of it is under
// load.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import {
  type Completion,
  completionError,
  type ConnectionEvent,
  type MemoryRegion,
  type PmemFile,
  RemoteRegion,
} from 'rpma';
import { conform, withCode } from '../support/conform.js';
import { turn, until, withDeadline } from '../support/deadline.js';
import { Ledger, type Load } from '../support/ledger.js';
import { documentedCodes } from '../support/native.js';
import type { SeededRandom } from '../support/random.js';
import { durableUsage, localUsage, type Pair, takeRest, type World } from '../support/world.js';

const half = 1 << 20;
const lengths = [0, 8, 4096, 100_000];
const everyUsage = durableUsage | localUsage;

/** As an administrator would: from a process of its own. */
async function truncate(path: string, sizeBytes: number): Promise<void> {
  const script = 'require("node:fs").truncateSync(process.argv[1], Number(process.argv[2]))';
  await promisify(execFile)(process.execPath, ['-e', script, path, String(sizeBytes)]);
}

/** A connection under load, with what became of it. */
class User {
  readonly name: string;
  readonly load: Load;
  readonly ledger: Ledger = new Ledger();
  /** Of operations; receives are flushed by any end. */
  readonly failures: Completion[] = [];
  readonly finished: Promise<void>;
  cycles = 0;
  #isStopping = false;

  constructor(name: string, load: Load) {
    this.name = name;
    this.load = load;
    this.finished = this.#run();
    this.finished.catch(() => undefined); // told by whoever waits for it
  }

  #keep(...completions: readonly Completion[]): void {
    this.ledger.add(...completions);
    const failed = completions.filter((each) => !each.ok && each.operation !== 'receive');
    this.failures.push(...failed);
  }

  async #run(): Promise<void> {
    const { connection } = this.load;
    while (!this.#isStopping && this.ledger.fill(this.load) && this.#flush()) {
      const first = await connection.completionQueue.take({ timeoutMs: 20_000 });
      if (first === null) break;
      this.#keep(first, ...connection.completionQueue.poll());
      this.cycles++;
      await turn();
    }
    // Also when a post was refused because the local region is: then the connection may live.
    await connection.close();
    this.#keep(...(await takeRest(connection.completionQueue, 20_000)));
    this.ledger.audit();
  }

  /** A persistent flush now and then, where there is a file to flush. */
  #flush(): boolean {
    const { connection, remote } = this.load;
    if (this.cycles % 8 !== 0 || connection.sendQueueFree === 0) return true;
    if ((remote.usage & 0x20) === 0) return true;
    const flush = { remote, length: 8, type: 'persistent' as const };
    return this.ledger.post('always', (id) => connection.postFlush({ ...flush, id }));
  }

  stop(): void {
    this.#isStopping = true;
  }
}

interface Ground {
  readonly first: Pair;
  readonly file: PmemFile;
  readonly upper: MemoryRegion;
  readonly users: { readonly hole: User[]; readonly sound: User[] };
}

async function ground(world: World, random: SeededRandom): Promise<Ground> {
  const options = { sendQueueSize: 16, receiveQueueSize: 4 };
  const both = { initiator: options, target: options };
  const first = await world.pair(both);
  const local = await world.local(first, half);
  const lent = await first.initiatorPeer.allocate(half, { usage: everyUsage & ~0x20 });
  const file = await world.file(2 * half);
  const other = await world.file(half);
  const registered = (of: PmemFile, offset: number): Promise<MemoryRegion> =>
    first.targetPeer.register(of, { usage: everyUsage, offset, length: half });
  const [lower, upper] = [await registered(file, 0), await registered(file, half)];
  const elsewhere = await registered(other, 0);
  const plain = await first.targetPeer.allocate(half, { usage: everyUsage & ~0x20 });
  const remoteOf = (region: MemoryRegion) => RemoteRegion.fromDescriptor(region.toDescriptor());
  const seeded = () => ({ random, lengths, sends: false });
  const inward = async (name: string, region: MemoryRegion): Promise<User> => {
    const { initiator: connection } = await world.again(first, both);
    return new User(name, { connection, local, remote: remoteOf(region), ...seeded() });
  };
  // The target's own posts, from and into its file.
  const outward = async (name: string, region: MemoryRegion): Promise<User> => {
    const { target: connection } = await world.again(first, both);
    return new User(name, { connection, local: region, remote: remoteOf(lent), ...seeded() });
  };
  const hole = [
    await inward('a peer on the hole', upper),
    await inward('another peer on the hole', upper),
    await outward('a local user of the hole', upper),
  ];
  const sound = [
    await inward('a peer on the rest of the file', lower),
    await inward('a peer on another file', elsewhere),
    await inward('a peer on other memory', plain),
    await outward('a local user of the rest of the file', lower),
  ];
  return { first, file, upper, users: { hole, sound } };
}

/**
 * The first failure carries a cause that the user's side of the hole explains, and what follows is
 * flushed. A local user who had nothing under way when the region was refused ends in order. A
 * write is settled once TCP has it: when nothing else was under way the event alone carries the
 * cause.
 */
function checkEnd({ name, failures, load }: User, { type, error }: ConnectionEvent): string {
  const [cause, ...later] = failures;
  const isLocal = (load.local.usage & 0x20) !== 0;
  if (isLocal && cause === undefined) {
    assert.equal(type, 'closed', name);
    return `${name}: refused`;
  }
  assert.equal(type, 'lost', name);
  assert.ok(
    later.every((each) => each.status === 'flushed'),
    `${name}: ${cause?.status}`,
  );
  if (cause === undefined) {
    assert.equal(error?.code, 'ERR_RPMA_CONNECTION_LOST', name);
    assert.match(error.message, / lost: [a-z ]+: [a-z ]+/, name);
    return `${name}: ${error.message}`;
  }
  const { code } = completionError(cause) ?? { code: 'none' };
  assert.ok(documentedCodes.has(code), `${name}: ${code}`);
  const fitting = isLocal ? ['LOCAL_PROTECTION'] : ['REMOTE_ACCESS', 'REMOTE_OPERATION'];
  assert.ok(fitting.includes(code.replace('ERR_RPMA_WC_', '')), `${name}: ${code}`);
  return `${name}: ${cause.operation} ${code}`;
}

/** Whoever uses the region over the hole now is refused, and the process lives. */
async function checkRefusals(world: World, { first, upper }: Ground): Promise<void> {
  const { remote: elsewhere } = await world.lend(first, 64);
  const back = await world.again(first);
  const use = { local: upper, remote: elsewhere, length: 8 };
  assert.throws(() => back.target.postWrite(use), withCode('CLOSED'));
  const local = await world.local(first, 64);
  const remote = RemoteRegion.fromDescriptor(upper.toDescriptor());
  for (const operation of ['read', 'write', 'flush'] as const) {
    const { initiator } = await world.again(first);
    const range = { remote, length: 8 };
    // A write is settled when it has left; what waits behind it carries the cause.
    if (operation === 'read') initiator.postRead({ ...range, local });
    if (operation === 'write') initiator.postWrite({ ...range, local, completion: 'on-error' });
    if (operation !== 'read') initiator.postFlush({ ...range, type: 'persistent' });
    const end = await withDeadline(initiator.whenClosed(), `the end after a ${operation}`);
    assert.equal(end.type, 'lost');
    const failed = (await takeRest(initiator.completionQueue)).filter((each) => !each.ok);
    assert.deepEqual(
      failed.map((each) => each.status),
      ['remote-access'],
    );
  }
}

async function scenario(world: World, random: SeededRandom): Promise<void> {
  const on = await ground(world, random);
  const { hole, sound } = on.users;
  const wanted = random.between(2, 20);
  const busy = (users: readonly User[]): boolean => users.every((each) => each.cycles >= wanted);
  await until(() => busy(hole) && busy(sound), 'all are busy', 20_000);
  await truncate(on.file.path, half);
  await withDeadline(Promise.all(hole.map((each) => each.finished)), 'the ends', 20_000);
  for (const user of hole) {
    const end = await withDeadline(user.load.connection.whenClosed(), `the end of ${user.name}`);
    world.test.diagnostic(checkEnd(user, end));
  }
  await checkRefusals(world, on);
  const marks = sound.map((each) => each.cycles);
  const isOn = (): boolean => sound.every((each, n) => each.cycles > (marks[n] ?? 0) + 10);
  await until(isOn, 'the others go on', 20_000);
  for (const user of sound) user.stop();
  await withDeadline(Promise.all(sound.map((each) => each.finished)), 'the others end', 20_000);
  for (const { name, failures, load } of sound) {
    assert.deepEqual(failures, [], name);
    assert.equal((await load.connection.whenClosed()).type, 'closed', name);
  }
  await withDeadline(on.upper.close(), 'the region over the hole closes');
  assert.equal(on.upper.inFlight, 0);
}

conform('a file truncated under load', ({ it }) => {
  for (const seed of [61, 62, 63, 64]) {
    it(
      `ends who met the hole and nobody else (seed ${seed})`,
      async (world) => {
        await scenario(world, world.random(seed));
      },
      { timeoutMs: 60_000 },
    );
  }
});
