// SPDX-License-Identifier: BSD-3-Clause
//
// Epoll: epoll(7) for Sources and for anything else with a descriptor.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { type Connection, Epoll, type EpollEvent, type IncomingRequest } from 'rpma';
import { argumentError, conform, withCode } from '../support/conform.js';
import { openDescriptors } from '../support/descriptors.js';
import { until, withDeadline } from '../support/deadline.js';
import { ForeignPoller } from '../support/foreign-poller.js';
import type { World } from '../support/world.js';

interface Pipe {
  readonly readEnd: number;
  readonly writeEnd: number;
  readonly closeWriteEnd: () => void;
}

/** A pipe of the system, both ends ours: a named one that is opened for both directions first. */
async function pipe(world: World): Promise<Pipe> {
  const path = join(await world.folder(), 'pipe');
  await new Promise((resolve) => spawn('mkfifo', [path]).on('close', resolve));
  const both = openSync(path, 'r+');
  const readEnd = openSync(path, 'r');
  const writeEnd = openSync(path, 'w');
  closeSync(both);
  let open = true;
  const closeWriteEnd = (): void => {
    if (open) closeSync(writeEnd);
    open = false;
  };
  world.after(() => {
    closeSync(readEnd);
    closeWriteEnd();
  });
  return { readEnd, writeEnd, closeWriteEnd };
}

function epollOf<D>(world: World): Epoll<D> {
  const epoll = new Epoll<D>();
  world.after(() => epoll.close());
  return epoll;
}

function names(events: readonly EpollEvent<string>[]): string[] {
  return events.map(({ data }) => data).sort();
}

conform('Epoll', ({ it }) => {
  it('begins empty, and gives nothing in every way', async (world) => {
    const epoll = epollOf<string>(world);
    assert.equal(epoll.size, 0);
    assert.ok(epoll.fd > 2);
    assert.equal(epoll.tryTake(), null);
    assert.equal(epoll.takeSync(0), null);
    assert.equal(epoll.takeSync(3), null);
    assert.deepEqual(epoll.waitSync(0), []);
    assert.equal(await epoll.take({ timeoutMs: 3 }), null);
  });

  it('tells what is ready until it is not, with what was attached', async (world) => {
    const { readEnd, writeEnd } = await pipe(world);
    const epoll = epollOf<{ readonly name: string }>(world);
    const data = { name: 'input' };
    assert.equal(epoll.add(readEnd, data), epoll);
    assert.equal(epoll.size, 1);
    assert.deepEqual(epoll.waitSync(0), []);
    writeSync(writeEnd, 'ab');
    const told = { data, readable: true, writable: false, hangup: false, error: false };
    assert.deepEqual(epoll.waitSync(0), [told]);
    assert.deepEqual(epoll.tryTake(), told);
    assert.deepEqual(epoll.takeSync(0), told);
    assert.deepEqual(await epoll.take(), told);
    assert.equal(epoll.tryTake()?.data, data, 'the very object');
    readSync(readEnd, Buffer.alloc(2));
    assert.equal(epoll.tryTake(), null);
  });

  it('tells of writing, of hang-ups, and only of what was asked for', async (world) => {
    const { readEnd, writeEnd, closeWriteEnd } = await pipe(world);
    const epoll = epollOf<string>(world);
    epoll.add(writeEnd, 'out', 'write').add(readEnd, 'in', 'both');
    assert.deepEqual(
      epoll.waitSync(0).map(({ data, writable, readable }) => [data, writable, readable]),
      [['out', true, false]],
    );
    epoll.modify(writeEnd, 'quiet', 'read');
    assert.deepEqual(epoll.waitSync(0), []);
    epoll.delete(writeEnd);
    closeWriteEnd();
    const [event] = epoll.waitSync(15_000);
    assert.equal(event?.data, 'in');
    assert.equal(event?.hangup, true);
  });

  it('waitSync() gives each that is ready once, at most max, and all of them in turn', async (world) => {
    const epoll = epollOf<string>(world);
    const pipes = await Promise.all([pipe(world), pipe(world), pipe(world)]);
    pipes.forEach(({ readEnd, writeEnd }, index) => {
      epoll.add(readEnd, `pipe ${index}`);
      writeSync(writeEnd, 'x');
    });
    const all = ['pipe 0', 'pipe 1', 'pipe 2'];
    assert.deepEqual(names(epoll.waitSync(0)), all);
    assert.equal(epoll.waitSync(0, 2).length, 2);
    assert.deepEqual(names(epoll.waitSync(0, 1024)), all);
    const taken = new Set(Array.from({ length: 3 }, () => epoll.tryTake()?.data));
    assert.deepEqual([...taken].sort(), all);
  });

  it('modify() changes data and interest, delete() takes it out', async (world) => {
    const { readEnd, writeEnd } = await pipe(world);
    const epoll = epollOf<string>(world);
    writeSync(writeEnd, 'x');
    epoll.add(readEnd, 'first').modify(readEnd, 'second');
    assert.deepEqual(names(epoll.waitSync(0)), ['second']);
    assert.equal(epoll.delete(readEnd), true);
    assert.equal(epoll.delete(readEnd), false);
    assert.equal(epoll.size, 0);
    assert.deepEqual(epoll.waitSync(0), []);
    epoll.add(readEnd, 'third');
    assert.deepEqual(names(epoll.waitSync(0)), ['third']);
  });

  it('refuses doubles, strangers and what epoll(7) does not take, by errno', async (world) => {
    const { readEnd } = await pipe(world);
    const file = openSync(join(await world.folder(), 'file'), 'w');
    world.after(() => closeSync(file));
    const epoll = epollOf<number>(world);
    const refused = (name: keyof typeof constants.errno) =>
      withCode('PROVIDER', { errno: -constants.errno[name], syscall: 'epoll_ctl' });
    epoll.add(readEnd, 1);
    assert.throws(() => epoll.add(readEnd, 2), refused('EEXIST'));
    assert.throws(() => epoll.add({ fd: readEnd }, 2), refused('EEXIST'));
    assert.throws(() => epoll.add(file, 2), refused('EPERM'));
    assert.throws(() => epoll.add(1_000_000, 2), refused('EBADF'));
    assert.throws(() => epoll.modify(file, 2), withCode('PROVIDER', { syscall: 'epoll_ctl' }));
    assert.throws(() => epoll.add(epoll, 2), refused('EINVAL'));
    assert.equal(epoll.delete(file), false);
    assert.equal(epoll.delete({ fd: 1_000_000 }), false);
    assert.equal(epoll.size, 1);
    epoll.delete(readEnd);
    assert.throws(() => epoll.modify(readEnd, 2), refused('ENOENT'));
  });

  it('refuses arguments that are none', (world) => {
    const epoll = epollOf<number>(world);
    const wrong = argumentError('TypeError', 'INVALID_ARG_TYPE');
    for (const source of ['0', null, undefined, {}, { fd: '0' }]) {
      assert.throws(() => epoll.add(source as number, 1), wrong);
    }
    for (const fd of [-1, 0.5, 2 ** 31]) {
      assert.throws(() => epoll.add(fd, 1), argumentError('RangeError', 'OUT_OF_RANGE'));
    }
    const word = 'in' as 'read';
    assert.throws(() => epoll.add(0, 1, word), argumentError('TypeError', 'INVALID_ARG_VALUE'));
    for (const max of [0, 1025, 1.5]) {
      assert.throws(() => epoll.waitSync(0, max), argumentError('RangeError', 'OUT_OF_RANGE'));
    }
    assert.throws(() => epoll.waitSync(-1), argumentError('RangeError', 'OUT_OF_RANGE'));
    assert.throws(() => epoll.takeSync(Infinity), argumentError('RangeError', 'OUT_OF_RANGE'));
  });

  it('waits by promise for what comes from the system and from other threads', async (world) => {
    const { readEnd, writeEnd } = await pipe(world);
    const { initiator } = await world.pair();
    const epoll = epollOf<string>(world);
    epoll.add(readEnd, 'pipe').add(initiator.completionQueue, 'queue');
    for (let round = 0; round < 3; round++) {
      const taking = epoll.take();
      writeSync(writeEnd, 'x');
      assert.equal((await withDeadline(taking, 'the pipe'))?.data, 'pipe');
      readSync(readEnd, Buffer.alloc(1));
      const next = epoll.take();
      initiator.postWrite({ length: 0 });
      assert.equal((await withDeadline(next, 'the queue'))?.data, 'queue');
      while (initiator.completionQueue.tryTake() !== null);
    }
    const aborting = new AbortController();
    const aborted = epoll.take({ signal: aborting.signal });
    aborting.abort();
    await assert.rejects(aborted, withCode('ABORTED'));
  });

  it('is iterated over by one loop at a time, until it is closed', async (world) => {
    const { readEnd, writeEnd } = await pipe(world);
    const epoll = epollOf<string>(world);
    epoll.add(readEnd, 'pipe');
    let seen = 0;
    const loop = async (): Promise<void> => {
      for await (const { data } of epoll) {
        assert.equal(data, 'pipe');
        readSync(readEnd, Buffer.alloc(1));
        seen++;
      }
    };
    const looping = loop();
    await assert.rejects(epoll.take(), withCode('BUSY'));
    await assert.rejects(epoll[Symbol.asyncIterator]().next(), withCode('BUSY'));
    for (let i = 1; i <= 3; i++) {
      writeSync(writeEnd, 'x');
      await until(() => seen === i, `event ${i}`);
    }
    epoll.close();
    await withDeadline(looping, 'the loop ends');
  });

  it('closed it holds nothing, and says so', async (world) => {
    const { readEnd } = await pipe(world);
    const before = openDescriptors().sets;
    const epoll = new Epoll<string>();
    assert.equal(openDescriptors().sets, before + 1);
    epoll.add(readEnd, 'pipe');
    const pending = epoll.take();
    epoll.close();
    epoll.close();
    epoll[Symbol.dispose]();
    assert.equal(await pending, null);
    assert.equal(openDescriptors().sets, before);
    assert.equal(epoll.size, 0);
    assert.equal(epoll.tryTake(), null);
    assert.deepEqual(epoll.waitSync(1000), []);
    assert.equal(epoll.delete(readEnd), false);
    assert.throws(() => epoll.fd, withCode('CLOSED'));
    assert.throws(() => epoll.add(readEnd, 'again'), withCode('CLOSED'));
    assert.throws(() => epoll.modify(readEnd, 'again'), withCode('CLOSED'));
  });

  it('a Source that is closed leaves by itself', async (world) => {
    const pair = await world.pair();
    const { initiator, endpoint } = pair;
    const epoll = epollOf<string>(world);
    epoll.add(endpoint, 'endpoint');
    epoll.add(initiator.events, 'events').add(initiator.completionQueue, 'queue');
    assert.equal(epoll.size, 3);
    await endpoint.close();
    assert.equal(epoll.size, 2);
    assert.equal(epoll.delete(endpoint), false);
    await initiator.close();
    assert.equal(epoll.size, 0);
    assert.deepEqual(epoll.waitSync(0), []);
  });

  it('one that the other side ended leaves when its end was read', async (world) => {
    const { initiator, target } = await world.pair();
    const epoll = epollOf<string>(world);
    epoll.add(initiator.events, 'events').add(initiator.completionQueue, 'queue');
    while (initiator.events.tryTake() !== null);
    target.destroy();
    const seen: string[] = [];
    for (let i = 0; epoll.size > 0 && i < 1000; i++) {
      for (const { data } of epoll.waitSync(15_000)) {
        if (data === 'queue') initiator.completionQueue.poll();
        else seen.push(initiator.events.tryTake()?.type ?? 'nothing');
      }
    }
    assert.equal(epoll.size, 0);
    assert.ok(seen[0] === 'closed' || seen[0] === 'lost', seen.join(' '));
  });

  it('an end that only a queue tells of is noticed without a turn of the loop', async (world) => {
    const { initiator, target } = await world.pair();
    const epoll = epollOf<string>(world);
    epoll.add(initiator.completionQueue, 'queue');
    target.destroy();
    const end = performance.now() + 15_000;
    while (epoll.size > 0 && performance.now() < end) {
      for (const { data } of epoll.waitSync(1000)) {
        assert.equal(data, 'queue');
        assert.deepEqual(initiator.completionQueue.poll(), []);
      }
    }
    assert.equal(epoll.size, 0);
    assert.equal(initiator.state, 'closed');
  });

  it('a number that was closed without delete() and given out again is another one', async (world) => {
    const epoll = epollOf<string>(world);
    const folder = await world.folder();
    const path = join(folder, 'again');
    await new Promise((resolve) => spawn('mkfifo', [path]).on('close', resolve));
    const first = openSync(path, 'r+');
    epoll.add(first, 'first');
    closeSync(first);
    const second = openSync(path, 'r+');
    assert.equal(second, first, 'the system gives out the lowest number');
    epoll.add(second, 'second');
    assert.equal(epoll.size, 1);
    writeSync(second, 'x');
    assert.deepEqual(names(epoll.waitSync(0)), ['second']);
    closeSync(second);
    const third = openSync(path, 'r+');
    const object = { fd: third };
    epoll.add(object, 'third');
    assert.equal(epoll.size, 1, 'in whatever form it was added');
    assert.equal(epoll.delete(second), true);
    closeSync(third);
  });

  it('serves many connections in one thread that never lets its loop turn', async (world) => {
    const count = 8;
    const peer = await world.peer();
    const other = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    const requests = await Promise.all(
      Array.from({ length: count }, () =>
        other.createConnectionRequest('127.0.0.1', endpoint.port),
      ),
    );
    // From here on nothing is awaited: the other side's end is this thread's business, too.
    const epoll = epollOf<() => void>(world);
    let established = 0;
    let completions = 0;
    let ended = 0;
    const serve = (connection: Connection, isClient: boolean): void => {
      epoll.add(connection.completionQueue, () => {
        for (const { ok } of connection.completionQueue.poll()) {
          assert.ok(ok);
          completions++;
          if (isClient) connection.disconnect();
        }
      });
      epoll.add(connection.events, () => {
        for (let event = connection.events.tryTake(); event !== null;) {
          if (event.type === 'established') {
            established++;
            if (isClient) connection.postWrite({ length: 0 });
          } else {
            ended++;
            connection.destroy();
          }
          event = connection.events.tryTake();
        }
      });
    };
    epoll.add(endpoint, () => {
      const accept = (request: IncomingRequest | null): void => {
        if (request !== null) serve(request.accept(), false);
      };
      for (let i = 0; i < count; i++) accept(endpoint.tryTake());
    });
    for (const request of requests) serve(request.connect(), true);
    const deadline = performance.now() + 20_000;
    while (epoll.size > 1 && performance.now() < deadline) {
      for (const { data } of epoll.waitSync(1000)) data();
    }
    assert.deepEqual([established, completions, ended], [2 * count, count, 2 * count]);
    assert.equal(epoll.size, 1, 'the endpoint is left');
  });

  it('another set watches it by its descriptor', async (world) => {
    const { readEnd, writeEnd } = await pipe(world);
    const inner = epollOf<string>(world);
    const outer = epollOf<string>(world);
    inner.add(readEnd, 'pipe');
    outer.add(inner, 'inner');
    const foreign = await ForeignPoller.of(world.test, inner.fd);
    assert.equal(await foreign.readable(), false);
    assert.deepEqual(outer.waitSync(0), []);
    writeSync(writeEnd, 'x');
    assert.equal(await foreign.readable(), true);
    assert.deepEqual(names(outer.waitSync(0)), ['inner']);
    assert.deepEqual(names(inner.waitSync(0)), ['pipe']);
  });

  it('sends what was posted before it blocks', async (world) => {
    const pair = await world.pair();
    const { remote, region } = await world.lend(pair, 8);
    const local = await world.local(pair, 8);
    local.bytes.fill(7);
    const epoll = epollOf<string>(world);
    // On-error alone waits for company; nothing but the wait lets it go.
    pair.initiator.postWrite({ local, remote, length: 8, completion: 'on-error' });
    const words = new BigInt64Array(region.bytes.buffer, region.bytes.byteOffset, 1);
    for (const end = performance.now() + 15_000; performance.now() < end;) {
      assert.deepEqual(epoll.waitSync(1), []);
      if (Atomics.load(words, 0) !== 0n) break;
    }
    assert.equal(region.bytes[7], 7);
  });
});
