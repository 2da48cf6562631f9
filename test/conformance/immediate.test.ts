// SPDX-License-Identifier: BSD-3-Clause
//
// Immediate data (librpma: rpma_send_with_imm, rpma_write_with_imm): 32 bits beside a message or a
// write. Both take a receive of the other side; a write's receive holds nothing of it. Towards a
// side that takes none it is refused by name, and nothing is sent.

import assert from 'node:assert/strict';
import {
  type Completion,
  CompletionBatch,
  type CompletionQueue,
  Connection,
  type ConnectionOptions,
  type MemoryRegion,
  OperationBatch,
  type RemoteRegion,
  type Peer,
} from 'rpma';
import { argumentError, conform, type Suite, withCode } from '../support/conform.js';
import { turn, until, withDeadline } from '../support/deadline.js';
import {
  capabilities,
  encodeSetup,
  helloFrame,
  immediateBody,
  offerWord,
  opcodes,
  plainSetup,
  sendImmediateBody,
  taggedFrame,
  untaggedFrame,
} from '../support/iwarp.js';
import { ScriptedListener, ScriptedPeer } from '../support/scripted-peer.js';
import {
  localUsage,
  type Pair,
  type PairOptions,
  takeAll,
  takeOk,
  takeRest,
  type World,
} from '../support/world.js';

const values = [0, 1, 0x1234_5678, 2 ** 31, 2 ** 32 - 1];

interface Stage {
  readonly pair: Pair;
  readonly local: MemoryRegion;
  readonly region: MemoryRegion;
  readonly remote: RemoteRegion;
  /** The target's memory for receives. */
  readonly box: MemoryRegion;
}

async function stage(world: World, options: PairOptions = {}): Promise<Stage> {
  const pair = await world.pair(options);
  const local = await world.local(pair, 65_536);
  world.random(61).fill(local.bytes);
  const { region, remote } = await world.lend(pair, 65_536);
  return { pair, local, region, remote, box: await inboxOf(pair.targetPeer) };
}

function inboxOf(peer: Peer): Promise<MemoryRegion> {
  return peer.allocate(65_536, { usage: localUsage });
}

function brief({ id, operation, length, immediate }: Completion) {
  return [id, operation, length, immediate];
}

async function taken(queue: CompletionQueue, count: number) {
  return (await takeAll(queue, count)).map((each) => {
    assert.ok(each.ok, `${each.operation} ${each.id} is ${each.status}`);
    return brief(each);
  });
}

conform('immediate data of the verbs tier', ({ it }) => {
  it('a send carries every value, with bytes and without', async (world) => {
    const { pair, local, box } = await stage(world);
    for (const immediate of values) {
      pair.target.postReceive({ local: box, length: 64, id: 1 });
      pair.target.postReceive({ length: 0, id: 2 });
      pair.target.postReceive({ local: box, length: 64, id: 3 });
      pair.initiator.postSend({ local, length: 60, immediate, id: 4 });
      pair.initiator.postSend({ length: 0, immediate, id: 5 });
      pair.initiator.postSend({ local, length: 0, immediate, id: 6 });
      assert.deepEqual(await taken(pair.target.completionQueue, 3), [
        [1, 'receive', 60, immediate],
        [2, 'receive', 0, immediate],
        [3, 'receive', 0, immediate],
      ]);
      assert.deepEqual(await taken(pair.initiator.completionQueue, 3), [
        [4, 'send', 0, undefined],
        [5, 'send', 0, undefined],
        [6, 'send', 0, undefined],
      ]);
      assert.deepEqual(box.bytes.subarray(0, 60), local.bytes.subarray(0, 60));
      assert.equal(box.bytes[60], 0, 'the value takes no room in the receive');
    }
  });

  it('a write carries every value and leaves the receive as it was', async (world) => {
    const { pair, local, region, remote, box } = await stage(world);
    for (const immediate of values) {
      region.bytes.fill(0);
      pair.target.postReceive({ local: box, length: 64, id: 1 });
      pair.target.postReceive({ length: 0, id: 2 });
      pair.target.postReceive({ local: box, length: 64, id: 3 });
      pair.initiator.postWrite({ local, remote, remoteOffset: 8, length: 5000, immediate, id: 4 });
      pair.initiator.postWrite({ length: 0, immediate, id: 5 });
      pair.initiator.postWrite({ local, remote, length: 0, immediate, id: 6 });
      assert.deepEqual(await taken(pair.target.completionQueue, 3), [
        [1, 'receive-write', 5000, immediate],
        [2, 'receive-write', 0, immediate],
        [3, 'receive-write', 0, immediate],
      ]);
      assert.deepEqual(await taken(pair.initiator.completionQueue, 3), [
        [4, 'write', 0, undefined],
        [5, 'write', 0, undefined],
        [6, 'write', 0, undefined],
      ]);
      assert.deepEqual(region.bytes.subarray(8, 5008), local.bytes.subarray(0, 5000));
    }
    assert.ok(
      box.bytes.every((byte) => byte === 0),
      'no byte of a receive',
    );
  });

  it('a batch carries values as single posts do', async (world) => {
    const { pair, local, remote } = await stage(world);
    for (let id = 1; id <= 3; id++) pair.target.postReceive({ length: 0, id });
    const batch = new OperationBatch(3)
      .send({ length: 0, immediate: 0xffff_ffff })
      .write({ local, remote, length: 8, immediate: 0 })
      .send({ length: 0 });
    assert.equal(pair.initiator.post(batch), 3);
    assert.deepEqual(await taken(pair.target.completionQueue, 3), [
      [1, 'receive', 0, 0xffff_ffff],
      [2, 'receive-write', 8, 0],
      [3, 'receive', 0, undefined],
    ]);
    assert.throws(
      () => batch.clear().send({ length: 0, immediate: 2 ** 32 }),
      /operation 0 of the batch: .*immediate/,
    );
  });

  it('without the option there is none, and 0 is a value', async (world) => {
    const { pair, local, box } = await stage(world);
    const batch = new CompletionBatch(4);
    for (let id = 1; id <= 3; id++) pair.target.postReceive({ local: box, length: 64, id });
    pair.initiator.postSend({ local, length: 8 });
    pair.initiator.postSend({ local, length: 8, immediate: 0 });
    pair.initiator.postSend({ local, length: 8, immediate: undefined });
    const seen: unknown[] = [];
    await until(() => {
      const count = pair.target.completionQueue.pollInto(batch);
      for (let n = 0; n < count; n++) {
        seen.push(batch.immediate(n));
        assert.equal(batch.at(n).immediate, batch.immediate(n));
      }
      assert.throws(() => batch.immediate(count), RangeError);
      return seen.length === 3;
    }, 'three receives');
    assert.deepEqual(seen, [undefined, 0, undefined]);
  });

  it('a value that does not fit 32 bits is no value, and nothing is posted', async (world) => {
    const { pair, local, remote } = await stage(world);
    const { initiator } = pair;
    for (const immediate of [-1, 2 ** 32, 1.5, NaN, Infinity]) {
      const range = argumentError('RangeError', 'OUT_OF_RANGE');
      assert.throws(() => initiator.postSend({ length: 0, immediate }), range);
      assert.throws(() => initiator.postWrite({ local, remote, length: 8, immediate }), range);
      await assert.rejects(initiator.send({ length: 0, immediate }), range);
      await assert.rejects(initiator.write({ local, remote, length: 8, immediate }), range);
    }
    for (const immediate of ['1', 1n, null, true, {}]) {
      const options = { length: 0, immediate } as never;
      const type = argumentError('TypeError', 'INVALID_ARG_TYPE');
      assert.throws(() => initiator.postSend(options), type);
      assert.throws(() => initiator.postWrite(options), type);
    }
    assert.equal(initiator.sendQueueFree, 10);
    assert.equal(initiator.completionQueue.claimedBy, 'nobody');
  });

  it('each takes one slot of the send queue', async (world) => {
    const { pair, local, remote } = await stage(world, { initiator: { sendQueueSize: 2 } });
    const { initiator, target } = pair;
    for (let id = 1; id <= 2; id++) target.postReceive({ length: 0, id });
    initiator.postWrite({ local, remote, length: 8, immediate: 1 });
    assert.equal(initiator.sendQueueFree, 1);
    initiator.postSend({ length: 0, immediate: 2 });
    const full = withCode('AGAIN');
    assert.throws(() => initiator.postWrite({ local, remote, length: 8, immediate: 3 }), full);
    assert.throws(() => initiator.postSend({ length: 0, immediate: 3 }), full);
    await takeAll(initiator.completionQueue, 2);
    assert.deepEqual(await taken(target.completionQueue, 2), [
      [1, 'receive-write', 8, 1],
      [2, 'receive', 0, 2],
    ]);
    assert.equal(initiator.sendQueueFree, 2);
  });

  it('on-error forms complete only when they fail', async (world) => {
    const { pair, local, remote } = await stage(world);
    const { initiator, target } = pair;
    for (let id = 1; id <= 3; id++) target.postReceive({ length: 0, id });
    const completion = 'on-error';
    initiator.postWrite({ local, remote, length: 8, immediate: 1, completion, id: 7 });
    initiator.postSend({ length: 0, immediate: 2, completion, id: 8 });
    initiator.postWrite({ local, remote, length: 8, immediate: 3, id: 9 });
    assert.deepEqual(await taken(initiator.completionQueue, 1), [[9, 'write', 0, undefined]]);
    assert.equal(initiator.sendQueueFree, 10);
    assert.deepEqual(await taken(target.completionQueue, 3), [
      [1, 'receive-write', 8, 1],
      [2, 'receive', 0, 2],
      [3, 'receive-write', 8, 3],
    ]);
    assert.equal(target.receiveQueueFree, 10);
  });

  it('every earlier write is in memory when the value arrives', async (world) => {
    const { pair, local, region, remote, box } = await stage(world);
    const { initiator, target } = pair;
    const random = world.random(62);
    for (let round = 1; round <= 100; round++) {
      const length = 1 + random.below(60_000);
      target.postReceive({ local: box, length: 0 });
      local.bytes.fill(round, 0, length);
      initiator.postWrite({ local, remote, length, completion: 'on-error' });
      initiator.postWrite({ local, remote, length: 1, immediate: round });
      const [completion] = await takeAll(target.completionQueue, 1);
      assert.equal(completion?.immediate, round);
      assert.equal(completion.length, 1, 'of its own write, not of the one before');
      assert.equal(region.bytes[length - 1], round & 0xff);
      await takeOk(initiator.completionQueue);
    }
  });

  it('completes in the queue of receives where there is one', async (world) => {
    const target: ConnectionOptions = { receiveCompletionQueueSize: 4, receiveQueueSize: 2 };
    const { pair, local, remote } = await stage(world, { target });
    const queue = pair.target.receiveCompletionQueue;
    assert.ok(queue !== null);
    for (let round = 0; round < 3; round++) {
      for (let id = 1; id <= 2; id++) pair.target.postReceive({ length: 0, id });
      assert.throws(() => pair.target.postReceive({ length: 0 }), withCode('AGAIN'));
      pair.initiator.postWrite({ local, remote, length: 8, immediate: 5 });
      pair.initiator.postSend({ length: 0, immediate: 6 });
      assert.deepEqual(await taken(queue, 2), [
        [1, 'receive-write', 8, 5],
        [2, 'receive', 0, 6],
      ]);
      assert.equal(pair.target.receiveQueueFree, 2, 'every receive gives its slot back');
      await takeAll(pair.initiator.completionQueue, 2);
    }
  });
});

conform('immediate data that finds no receive', ({ it }) => {
  it('waits for one, and what is behind it waits as well', async (world) => {
    const { pair, local, region, remote, box } = await stage(world);
    const { initiator, target } = pair;
    initiator.postWrite({ local, remote, length: 100, immediate: 1 });
    initiator.postSend({ local, length: 200, immediate: 2 });
    initiator.postWrite({ local, remote, remoteOffset: 4096, length: 300, immediate: 3 });
    initiator.postFlush({ remote, length: 8, type: 'visibility', id: 77 });
    await takeAll(initiator.completionQueue, 3); // TCP has them
    const expected = [
      [1, 'receive-write', 100, 1],
      [2, 'receive', 200, 2],
      [3, 'receive-write', 300, 3],
    ];
    for (let id = 1; id <= 3; id++) {
      assert.equal(initiator.completionQueue.tryTake(), null, 'the flush waits behind them');
      if (id < 3) assert.equal(region.bytes[4096], 0, 'and so does a write');
      target.postReceive({ local: box, length: 4096, id });
      assert.deepEqual(await taken(target.completionQueue, 1), [expected[id - 1]]);
    }
    assert.equal((await takeOk(initiator.completionQueue)).id, 77);
    assert.deepEqual(region.bytes.subarray(4096, 4396), local.bytes.subarray(0, 300));
  });

  it('outlives its sender', async (world) => {
    const { pair, local, remote, box } = await stage(world);
    pair.initiator.postWrite({ local, remote, length: 10, immediate: 8 });
    pair.initiator.postSend({ local, length: 20, immediate: 9 });
    await takeAll(pair.initiator.completionQueue, 2);
    const closing = pair.initiator.close();
    pair.target.postReceive({ local: box, length: 64, id: 1 });
    pair.target.postReceive({ local: box, length: 64, id: 2 });
    assert.deepEqual(await taken(pair.target.completionQueue, 2), [
      [1, 'receive-write', 10, 8],
      [2, 'receive', 20, 9],
    ]);
    await withDeadline(closing, 'the end of the sender', 10_000);
  });
});

conform('immediate data that fails', ({ it }) => {
  it('a receive too short for the message is completed with a length error', async (world) => {
    const { pair, local, box } = await stage(world);
    pair.target.postReceive({ local: box, length: 8, id: 1 });
    pair.target.postReceive({ local: box, length: 7, id: 2 });
    pair.initiator.postSend({ local, length: 8, immediate: 1 });
    pair.initiator.postSend({ local, length: 8, immediate: 2 });
    const ended = await takeRest(pair.target.completionQueue);
    assert.deepEqual(
      ended.map((each) => [each.id, each.operation, each.status, each.immediate]),
      [
        [1, 'receive', 'success', 1],
        [2, 'receive', 'length', undefined],
      ],
    );
  });

  it('a write that the target refuses delivers no value', async (world) => {
    const { pair, local, region, remote } = await stage(world);
    pair.target.postReceive({ length: 0, id: 1 });
    await region.close();
    pair.initiator.postWrite({ local, remote, length: 8, immediate: 4 });
    const ended = await takeRest(pair.target.completionQueue);
    assert.deepEqual(
      ended.map((each) => [each.id, each.operation, each.status, each.immediate]),
      [[1, 'receive', 'flushed', undefined]],
    );
    await withDeadline(pair.initiator.whenClosed(), 'the end');
  });
});

conform('immediate data of the promise tier', ({ it }) => {
  it('is awaited on both sides', async (world) => {
    const { pair, local, region, remote, box } = await stage(world);
    const { initiator, target } = pair;
    const received = [64, 0, 64, 64].map((length) =>
      target.receive(length === 0 ? { length } : { local: box, length }),
    );
    await initiator.send({ local, length: 7, immediate: 11 });
    await initiator.send({ length: 0, immediate: 12 });
    const wrote = await initiator.write({ local, remote, length: 9, immediate: 13 });
    assert.equal(wrote.durability, undefined);
    await initiator.send({ local, length: 3 });
    const { queuePairNumber } = target;
    assert.deepEqual(await withDeadline(Promise.all(received), 'four receives'), [
      { operation: 'receive', length: 7, immediate: 11, queuePairNumber },
      { operation: 'receive', length: 0, immediate: 12, queuePairNumber },
      { operation: 'receive-write', length: 9, immediate: 13, queuePairNumber },
      { operation: 'receive', length: 3, immediate: undefined, queuePairNumber },
    ]);
    assert.deepEqual(region.bytes.subarray(0, 9), local.bytes.subarray(0, 9));
  });

  it('more of them than the send queue holds wait their turn with their values', async (world) => {
    const { pair, local, remote } = await stage(world, { initiator: { sendQueueSize: 2 } });
    const { initiator, target } = pair;
    const received = Array.from({ length: 10 }, () => target.receive({ length: 0 }));
    await Promise.all(
      received.map((_, n) =>
        n % 2 === 0
          ? initiator.write({ local, remote, length: n, immediate: n })
          : initiator.send({ length: 0, immediate: n, timeoutMs: 10_000 }),
      ),
    );
    const got = await withDeadline(Promise.all(received), 'ten receives');
    for (const [n, { immediate, length }] of got.entries()) {
      assert.deepEqual([immediate, length], [n, n % 2 === 0 ? n : 0]);
    }
  });

  it("goes with until 'reusable' only, and says why", async (world) => {
    const { pair, local, remote } = await stage(world);
    const { initiator } = pair;
    const write = { local, remote, length: 8, immediate: 1 };
    for (const until of ['delivered', 'durable'] as const) {
      const refused = argumentError('TypeError', 'INVALID_ARG_VALUE');
      await assert.rejects(initiator.write({ ...write, until }), (error) => {
        assert.match((error as Error).message, /immediate goes with until 'reusable' only/);
        return refused(error);
      });
    }
    await assert.rejects(initiator.writeDurable(write), withCode('INVALID_ARG_VALUE'));
    assert.equal(initiator.completionQueue.claimedBy, 'nobody');
    pair.target.postReceive({ length: 0 });
    await initiator.write({ ...write, until: 'reusable' });
  });
});

conform('immediate data and the life of a connection', ({ it }) => {
  it('both sides say that they have it, and it can be required', async (world) => {
    const connection: ConnectionOptions = { requireNative: ['immediate'] };
    const pair = await world.pair({ initiator: connection, target: connection });
    assert.equal(pair.initiator.capabilities.immediateData, true);
    assert.equal(pair.target.capabilities.immediateData, true);
    assert.equal(pair.initiatorPeer.capabilities.immediateData, true);
  });

  it('before it is up the state is what is wrong', async (world) => {
    const peer = await world.peer();
    const listener = await ScriptedListener.open(world.test);
    const request = await peer.createConnectionRequest('127.0.0.1', listener.port);
    const connection = request.connect();
    assert.throws(() => connection.postSend({ length: 0, immediate: 1 }), withCode('STATE'));
    await assert.rejects(connection.write({ length: 0, immediate: 1 }), withCode('STATE'));
    connection.destroy();
    await withDeadline(connection.whenClosed(), 'the end');
    assert.throws(() => connection.postSend({ length: 0, immediate: 1 }), withCode('CLOSED'));
  });

  it('a connection that is handed over brings what was not read', async (world) => {
    const { pair, local, remote, box } = await stage(world);
    for (let id = 1; id <= 4; id++) pair.target.postReceive({ local: box, length: 64, id });
    pair.initiator.postSend({ local, length: 5, immediate: 0xffff_ffff });
    pair.initiator.postWrite({ local, remote, length: 6, immediate: 7 });
    pair.initiator.postSend({ local, length: 8 });
    await takeAll(pair.initiator.completionQueue, 3);
    // Fetched ahead with the first, as far as they are there: they travel as records.
    const first = await takeOk(pair.target.completionQueue);
    const there = Connection.adopt(pair.target.handOver());
    pair.initiator.postWrite({ local, remote, length: 9, immediate: 10 });
    const rest = await taken(there.completionQueue, 3);
    assert.deepEqual(
      [brief(first), ...rest],
      [
        [1, 'receive', 5, 0xffff_ffff],
        [2, 'receive-write', 6, 7],
        [3, 'receive', 8, undefined],
        [4, 'receive-write', 9, 10],
      ],
    );
    assert.equal(there.capabilities.immediateData, true);
    assert.equal(there.receiveQueueFree, 10);
    const back = Connection.adopt(pair.initiator.handOver());
    there.postReceive({ length: 0, id: 5 });
    back.postSend({ length: 0, immediate: 11 });
    assert.deepEqual(await taken(there.completionQueue, 1), [[5, 'receive', 0, 11]]);
  });
});

/** A script that speaks the extension connects to the library; its hello names these bits. */
async function extended(world: World, bits: number) {
  const peer = await world.peer();
  const endpoint = await peer.listen('127.0.0.1', 0);
  const script = await ScriptedPeer.dial(world.test, endpoint.port);
  script.write(encodeSetup({ ...plainSetup('request'), word: offerWord }));
  const request = await endpoint.take({ timeoutMs: 10_000 });
  assert.ok(request !== null);
  const connection = request.accept();
  await script.setup();
  script.write(helloFrame(bits));
  await withDeadline(connection.whenEstablished(), 'established');
  return { script, connection, peer, local: await inboxOf(peer) };
}

/** Everything that refuses, and that it leaves the connection as it was. */
async function refuses(connection: Connection, local: MemoryRegion, cause: RegExp): Promise<void> {
  assert.equal(connection.capabilities.immediateData, false);
  const refused = (error: unknown): true => {
    assert.match((error as Error).message, cause);
    assert.match((error as Error).message, /^(write|send): immediate data cannot travel/);
    return withCode('NOT_SUPPORTED')(error);
  };
  assert.throws(() => connection.postSend({ local, length: 8, immediate: 1 }), refused);
  assert.throws(() => connection.postSend({ length: 0, immediate: 0 }), refused);
  assert.throws(() => connection.postWrite({ length: 0, immediate: 0 }), refused);
  await assert.rejects(connection.send({ length: 0, immediate: 1 }), refused);
  await assert.rejects(connection.write({ length: 0, immediate: 1 }), refused);
  assert.equal(connection.completionQueue.claimedBy, 'nobody');
  assert.equal(connection.sendQueueFree, 10);
}

conform('immediate data on the wire', ({ provider, it }: Suite) => {
  if (provider !== 'iwarp') return;

  it('towards a plain peer is refused, and nothing of it is sent', async (world) => {
    const listener = await ScriptedListener.open(world.test);
    const peer = await world.peer();
    const connecting = peer.connect('127.0.0.1', listener.port);
    const script = await listener.accept(world.test);
    await script.setup();
    script.write(encodeSetup(plainSetup('reply')));
    const connection = await withDeadline(connecting, 'established');
    await refuses(connection, await inboxOf(peer), /does not speak this library's extension/);
    connection.postSend({ length: 0 });
    const { opcode, sequence } = await script.frame();
    assert.deepEqual([opcode, sequence], [opcodes.send, 1]);
  });

  it('towards a peer that did not name it is refused, and from it as well', async (world) => {
    const bits = capabilities.flush | capabilities.atomicWrite;
    const { script, connection, local } = await extended(world, bits);
    await refuses(connection, local, /speaks this library's extension without it/);
    const frame = sendImmediateBody(5);
    script.write(untaggedFrame(opcodes.extension, { queue: 0, sequence: 1 }, frame));
    assert.equal(await script.terminate(), '0/2/6');
  });

  it('requireNative refuses a side without it at connect', async (world) => {
    const listener = await ScriptedListener.open(world.test);
    const peer = await world.peer();
    const connection: ConnectionOptions = { requireNative: ['immediate'] };
    const attempt = peer.connect('127.0.0.1', listener.port, { connection });
    const refused = assert.rejects(attempt, withCode('NOT_SUPPORTED'));
    const script = await listener.accept(world.test);
    await script.setup();
    script.write(encodeSetup(plainSetup('reply')));
    await withDeadline(refused, 'the refusal');
  });

  it('a send is a message of the extension with the value in front', async (world) => {
    const { script, connection, local } = await extended(world, capabilities.immediate);
    local.bytes.set([1, 2, 3]);
    connection.postSend({ local, length: 3, immediate: 0x0102_0304 });
    connection.postSend({ length: 0 });
    const frame = await script.frame();
    assert.deepEqual(
      [frame.opcode, frame.queue, frame.sequence, frame.messageOffset, frame.last],
      [opcodes.extension, 0, 1, 0, true],
    );
    assert.deepEqual([...frame.payload], [3, 1, 0, 0, 1, 2, 3, 4, 1, 2, 3]);
    assert.equal((await script.frame()).sequence, 2);
  });

  it('offsets of a long one count the value', async (world) => {
    const { script, connection, peer } = await extended(world, capabilities.immediate);
    const local = await peer.allocate(100_000, { usage: localUsage });
    world.random(63).fill(local.bytes);
    connection.postSend({ local, length: 100_000, immediate: 5 });
    const first = await script.frame();
    const second = await script.frame();
    assert.deepEqual([first.last, second.last, second.opcode], [false, true, opcodes.extension]);
    assert.equal(second.messageOffset, first.payload.length);
    const whole = Buffer.concat([first.payload, second.payload]);
    assert.deepEqual(whole.subarray(0, 8), Buffer.from(sendImmediateBody(5)));
    assert.ok(whole.subarray(8).equals(local.bytes));
  });

  it('a write is the write and then its value, with nothing between', async (world) => {
    const { script, connection, peer } = await extended(world, capabilities.immediate);
    const local = await peer.allocate(200_000, { usage: localUsage });
    const { remote } = await world.lend(await world.pair(), 200_000); // never asked
    // Reads of the script's, whose answers are owed while the write is sent.
    const nowhere = { base: 0n, lengthBytes: 0n, stag: 0, usage: 0 };
    for (let n = 0; n < 8; n++) script.requestRead(nowhere, 0, 0);
    connection.postWrite({ local, remote, length: 200_000, immediate: 0xfeed_f00d });
    connection.postWrite({ length: 0, immediate: 1 });
    connection.postSend({ length: 0 });
    const seen: string[] = [];
    while (!seen.at(-1)?.startsWith('send')) {
      const { opcode, last, payload, queue, sequence } = await script.frame();
      if (opcode === opcodes.write) {
        seen.push(`${last ? 'end of' : 'piece of'} a write, ${payload.length} bytes`);
      } else if (opcode === opcodes.immediate) {
        const value = Buffer.from(payload).toString('hex');
        seen.push(`value ${value} on ${queue}, number ${sequence}, ${last ? 'whole' : 'cut'}`);
      } else if (opcode === opcodes.send) {
        seen.push(`send, number ${sequence}`);
      } else {
        assert.equal(opcode, opcodes.readResponse);
        const before = seen.at(-1) ?? '';
        assert.ok(!before.includes('a write'), 'no answer between a write and its value');
      }
    }
    assert.deepEqual(seen, [
      ...[1, 2, 3].map(() => 'piece of a write, 65516 bytes'),
      'end of a write, 3452 bytes',
      'value feedf00d00000000 on 0, number 1, whole',
      'end of a write, 0 bytes',
      'value 0000000100000000 on 0, number 2, whole',
      'send, number 3',
    ]);
  });

  it('a value alone is taken, also a solicited one', async (world) => {
    const { script, connection } = await extended(world, capabilities.immediate);
    for (let id = 1; id <= 4; id++) connection.postReceive({ length: 0, id });
    script.write(
      untaggedFrame(opcodes.immediate, { queue: 0, sequence: 1 }, immediateBody(2 ** 32 - 1)),
      untaggedFrame(opcodes.immediateSolicited, { queue: 0, sequence: 2 }, immediateBody(6)),
      taggedFrame(opcodes.write, 0, 0n, new Uint8Array(0)),
      untaggedFrame(opcodes.immediateSolicited, { queue: 0, sequence: 3 }, immediateBody(7)),
      untaggedFrame(opcodes.send, { queue: 0, sequence: 4 }, new Uint8Array(0)),
    );
    assert.deepEqual(await taken(connection.completionQueue, 4), [
      [1, 'receive-write', 0, 2 ** 32 - 1],
      [2, 'receive-write', 0, 6],
      [3, 'receive-write', 0, 7],
      [4, 'receive', 0, undefined],
    ]);
    await turn();
    assert.equal(connection.state, 'established');
  });
});
