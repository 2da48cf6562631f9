// SPDX-License-Identifier: BSD-3-Clause
//
// Arguments of operations, case by case as librpma's own tests name them (Appendix: test data in
// librpma-subset.ts). What librpma answers with RPMA_E_INVAL is a TypeError or RangeError here, at
// the call, and nothing is posted.

import assert from 'node:assert/strict';
import * as rpma from 'rpma';
import type { RemoteRegion } from 'rpma';
import { type Connection, type MemoryRegion } from 'rpma';
import { conform, withCode } from '../support/conform.js';
import { takeOk, type World } from '../support/world.js';

/** Whatever a caller without types might pass. */
type Anything = Readonly<Record<string, unknown>>;
/** A case of librpma's, what is passed, and the code that answers. */
type Row = readonly [name: string, options: Anything, code: keyof typeof classes];

const classes = {
  INVALID_ARG_TYPE: TypeError,
  INVALID_ARG_VALUE: TypeError,
  OUT_OF_RANGE: RangeError,
  ALIGNMENT: RangeError,
} as const;
const type = 'INVALID_ARG_TYPE';
const value = 'INVALID_ARG_VALUE';

interface Scene {
  readonly initiator: Connection;
  readonly target: Connection;
  readonly local: MemoryRegion;
  readonly remote: RemoteRegion;
}

async function scene(world: World): Promise<Scene> {
  const pair = await world.pair();
  const local = await world.local(pair);
  const { remote } = await world.lend(pair);
  return { initiator: pair.initiator, target: pair.target, local, remote };
}

/** Runs every row; each must throw its code's class, and leave the connection as it was. */
function refuseAll(
  connection: Connection,
  post: (options: never) => void,
  rows: readonly Row[],
): void {
  for (const [name, options, code] of rows) {
    const isRight = (error: unknown): boolean =>
      error instanceof classes[code] && withCode(code)(error);
    assert.throws(() => post(options as never), isRight, name);
    assert.equal(connection.sendQueueFree, connection.config.sendQueueSize, name);
    assert.equal(connection.receiveQueueFree, connection.config.receiveQueueSize, name);
  }
  assert.equal(connection.completionQueue.tryTake(), null);
}

/** read and write: what stands there for the local and the remote side of a transfer. */
function transferRows(local: MemoryRegion, remote: RemoteRegion): Row[] {
  return [
    ['local_NULL', { remote, length: 8 }, value],
    ['remote_NULL_local_not_NULL', { local, length: 8 }, value],
    ['local_null', { local: null, remote, length: 8 }, type],
    ['remote_null', { local, remote: null, length: 8 }, type],
    ['both_NULL_local_offset_not_0', { localOffset: 8, length: 0 }, value],
    ['both_NULL_remote_offset_not_0', { remoteOffset: 8, length: 0 }, value],
    ['both_NULL_len_not_0', { length: 8 }, value],
    ['both_NULL_offsets_len_not_0', { localOffset: 8, remoteOffset: 8, length: 8 }, value],
    ['flags_0', { local, remote, length: 8, completion: 0 }, type],
    ['flags_empty', { local, remote, length: 8, completion: '' }, value],
    ['local_NULL_flags_0', { remote, length: 8, completion: 0 }, type],
  ];
}

/** send and receive. */
function messageRows(local: MemoryRegion): Row[] {
  return [
    ['local_null', { local: null, length: 8 }, type],
    ['local_NULL_offset_not_0', { localOffset: 8, length: 0 }, value],
    ['local_NULL_len_not_0', { length: 8 }, value],
    ['local_NULL_offset_len_not_0', { localOffset: 8, length: 8 }, value],
    ['len_not_a_number', { local, length: '8' }, type],
  ];
}

conform('arguments of operations, as librpma checks them', ({ it }) => {
  it('rpma_read: half of local and remote, a length or offset without them, no completion', async (world) => {
    const { initiator, local, remote } = await scene(world);
    refuseAll(initiator, (options) => initiator.postRead(options), transferRows(local, remote));
  });

  it('rpma_write: half of local and remote, a length or offset without them, no completion', async (world) => {
    const { initiator, local, remote } = await scene(world);
    refuseAll(initiator, (options) => initiator.postWrite(options), transferRows(local, remote));
  });

  it('rpma_send: a length or offset without local, no completion', async (world) => {
    const { initiator, local } = await scene(world);
    refuseAll(initiator, (options) => initiator.postSend(options), [
      ...messageRows(local),
      ['flags_0', { local, length: 8, completion: 0 }, type],
      ['local_NULL_flags_0', { length: 8, completion: 0 }, type],
    ]);
  });

  it('rpma_recv: a length or offset without local', async (world) => {
    const { initiator, local } = await scene(world);
    refuseAll(initiator, (options) => initiator.postReceive(options), messageRows(local));
  });

  it('rpma_conn_req_recv: a length or offset without local', async (world) => {
    const peer = await world.peer();
    const local = await peer.allocate(64, { usage: rpma.MemoryUsage.Receive });
    const request = await peer.createConnectionRequest('127.0.0.1', 9, {
      connection: { receiveQueueSize: 1 },
    });
    for (const [name, options, code] of messageRows(local)) {
      const isRight = (error: unknown): boolean =>
        error instanceof classes[code] && withCode(code)(error);
      assert.throws(() => request.postReceive(options as never), isRight, name);
    }
    request.postReceive({ local, length: 64 }); // the one place is still free
    request.destroy();
  });

  it('rpma_atomic_write: no region, no value, no completion, an offset off 8 bytes', async (world) => {
    const { initiator, remote } = await scene(world);
    refuseAll(initiator, (options) => initiator.postAtomicWrite(options), [
      ['dst_NULL', { value: 1n }, type],
      ['dst_null', { remote: null, value: 1n }, type],
      ['src_NULL', { remote }, type],
      ['src_null', { remote, value: null }, type],
      ['flags_0', { remote, value: 1n, completion: 0 }, type],
      ['dst_offset_unaligned', { remote, remoteOffset: 1, value: 1n }, 'ALIGNMENT'],
      ['dst_src_NULL_flags_0_dst_offset_unaligned', { remoteOffset: 1, completion: 0 }, type],
    ]);
  });

  it('rpma_flush: no region, no completion, no such type (librpma takes any type)', async (world) => {
    const { initiator, remote } = await scene(world);
    const flush = { length: 8, type: 'visibility' };
    refuseAll(initiator, (options) => initiator.postFlush(options), [
      ['dst_NULL', flush, type],
      ['dst_null', { ...flush, remote: null }, type],
      ['flags_0', { ...flush, remote, completion: 0 }, type],
      ['dst_NULL_flags_0', { ...flush, completion: 0 }, type],
      ['type_out_of_range', { ...flush, remote, type: 'both' }, value],
      ['type_a_number', { ...flush, remote, type: 1 }, type],
      ['type_missing', { remote, length: 8 }, type],
    ]);
  });

  it('the awaited forms refuse the same, by rejection', async (world) => {
    const { initiator, local, remote } = await scene(world);
    const awaited: readonly (readonly [string, (options: never) => Promise<unknown>, Row[]])[] = [
      ['read', (options) => initiator.read(options), transferRows(local, remote)],
      ['write', (options) => initiator.write(options), transferRows(local, remote)],
      ['writeDurable', (options) => initiator.writeDurable(options), transferRows(local, remote)],
      ['send', (options) => initiator.send(options), messageRows(local)],
      ['receive', (options) => initiator.receive(options), messageRows(local)],
    ];
    for (const [name, call, rows] of awaited) {
      // There is no completion to choose in the promise tier.
      for (const [row, options, code] of rows.filter(([, given]) => !('completion' in given))) {
        const isRight = (error: unknown): boolean =>
          error instanceof classes[code] && withCode(code)(error);
        await assert.rejects(call(options as never), isRight, `${name} ${row}`);
      }
    }
    assert.equal(initiator.completionQueue.claimedBy, 'nobody');
    assert.equal(initiator.sendQueueFree, 10);
  });

  it('a length is never cut to 32 bits', async (world) => {
    const { initiator, local, remote } = await scene(world);
    const long = { local, remote, length: 2 ** 32 + 8 };
    refuseAll(initiator, (options) => initiator.postWrite(options), [
      ['len', long, 'OUT_OF_RANGE'],
    ]);
    refuseAll(initiator, (options) => initiator.postRead(options), [['len', long, 'OUT_OF_RANGE']]);
    refuseAll(initiator, (options) => initiator.postFlush(options), [
      ['len', { remote, length: 2 ** 32 + 8, type: 'visibility' }, 'OUT_OF_RANGE'],
    ]);
  });

  it('a receive always completes: there is no completion to choose', async (world) => {
    const { initiator, target } = await scene(world);
    target.postReceive({ length: 0, id: 4, completion: 'on-error' } as never);
    initiator.postSend({ length: 0 });
    const received = await takeOk(target.completionQueue);
    assert.deepEqual([received.id, received.operation], [4, 'receive']);
  });

  it('completions of everything: always and on-error, always when left out', async (world) => {
    const { initiator } = await scene(world);
    initiator.postWrite({ length: 0, id: 1, completion: 'on-error' });
    initiator.postWrite({ length: 0, id: 2, completion: 'always' });
    initiator.postWrite({ length: 0, id: 3, completion: undefined });
    initiator.postWrite({ length: 0, id: 4 });
    for (const id of [2, 3, 4]) assert.equal((await takeOk(initiator.completionQueue)).id, id);
    assert.equal(initiator.completionQueue.tryTake(), null);
  });

  it('the zero-byte forms of all four need no memory', async (world) => {
    const { initiator, target } = await scene(world);
    target.postReceive({ length: 0, id: 9 });
    initiator.postRead({ length: 0, id: 1 });
    initiator.postWrite({ length: 0, id: 2 });
    initiator.postSend({ length: 0, id: 3 });
    for (const id of [1, 2, 3]) assert.equal((await takeOk(initiator.completionQueue)).id, id);
    assert.equal((await takeOk(target.completionQueue)).id, 9);
  });

  it('and take offsets of 0, as librpma writes them', async (world) => {
    const { initiator, target } = await scene(world);
    const message = { localOffset: 0, length: 0 } as const;
    target.postReceive({ ...message, id: 9 });
    initiator.postRead({ ...message, remoteOffset: 0, id: 1 });
    initiator.postWrite({ ...message, remoteOffset: 0, id: 2 });
    initiator.postSend({ ...message, id: 3 });
    for (const id of [1, 2, 3]) assert.equal((await takeOk(initiator.completionQueue)).id, id);
    assert.equal((await takeOk(target.completionQueue)).id, 9);
  });
});

/** A prototype as a table of its members. */
type Members = Readonly<Record<PropertyKey, PropertyDescriptor>>;

/** What calling a member, or reading a property, of something else gives. */
async function outcomeOn(receiver: unknown, member: PropertyDescriptor): Promise<unknown> {
  try {
    const call = Reflect.get(member, member.value === undefined ? 'get' : 'value') as () => unknown;
    const given: unknown = await Reflect.apply(call, receiver, []);
    // A generator looks at its object when the first value is asked for.
    const isIterator = typeof given === 'object' && given !== null && 'next' in given;
    return isIterator ? await (given as AsyncIterator<unknown>).next() : given;
  } catch (error) {
    return error;
  }
}

conform('an object of the library', ({ it }) => {
  it('is needed to call its methods: NULL in its place is a TypeError', async () => {
    let called = 0;
    for (const [name, exported] of Object.entries(rpma)) {
      const isClass = typeof exported === 'function' && /^[A-Z]/.test(name);
      // An error is data; a configuration and what it says are fields.
      if (!isClass || name === 'RpmaError') continue;
      const members = Object.getOwnPropertyDescriptors(
        (exported as { readonly prototype: object }).prototype,
      ) as Members;
      for (const key of Reflect.ownKeys(members)) {
        const member = members[key];
        if (key === 'constructor' || member === undefined) continue;
        for (const receiver of [null, undefined, {}]) {
          const outcome = await outcomeOn(receiver, member);
          assert.ok(outcome instanceof TypeError, `${name}.${String(key)}: ${String(outcome)}`);
          called++;
        }
      }
    }
    assert.ok(called > 150, `only ${called} calls`);
  });

  it('is made by the library alone, but for values', () => {
    const made = [
      'Peer',
      'MemoryRegion',
      'PmemFile',
      'Endpoint',
      'OutgoingRequest',
      'IncomingRequest',
      'Connection',
      'CompletionQueue',
    ] as const;
    for (const name of made) {
      const Class = rpma[name] as unknown as new () => unknown;
      assert.throws(() => new Class(), TypeError, name);
    }
  });
});
