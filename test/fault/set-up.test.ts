// SPDX-License-Identifier: BSD-3-Clause
//
// Half-made connections: each phase of the set-up has its deadline and its bound, and a listener
// is not disturbed by strangers that stop half-way.

import assert from 'node:assert/strict';
import type { Endpoint } from 'rpma';
import { Child, type Message } from '../support/child.js';
import { conform, withCode } from '../support/conform.js';
import { timed, withDeadline } from '../support/deadline.js';
import { encodeSetup, offerWord, plainSetup, setupFlags, untaggedFrame } from '../support/iwarp.js';
import { inNamespace, namespaceRefusal, type Refused } from '../support/namespaces.js';
import { ScriptedListener, ScriptedPeer } from '../support/scripted-peer.js';
import type { World } from '../support/world.js';
import type { Served } from './programs/namespace-setups.js';

const strangers = new URL('./programs/namespace-setups.js', import.meta.url);

const setupMs = 5000; // of the limits: how long a Request may take

async function listening(world: World, limits?: Readonly<Record<string, number>>) {
  const peer = await world.peer();
  const endpoint = await peer.listen('127.0.0.1', 0, { limits });
  return { peer, endpoint };
}

/** An honest connection goes through while the strangers are there. */
async function stillServes(world: World, endpoint: Endpoint): Promise<void> {
  const peer = await world.peer();
  const dialling = peer.connect('127.0.0.1', endpoint.port);
  const request = await endpoint.take({ timeoutMs: 2000 });
  assert.ok(request !== null, 'the listener still serves');
  request.accept();
  await withDeadline(dialling, 'established', 2000);
}

conform('set-up of a target', ({ provider, it }) => {
  if (provider !== 'iwarp') return;

  it(
    'silence and half a Request end after their time, and disturb nobody',
    async (world) => {
      const { endpoint } = await listening(world);
      const silent = await ScriptedPeer.dial(world.test, endpoint.port);
      const half = await ScriptedPeer.dial(world.test, endpoint.port);
      const tail = await ScriptedPeer.dial(world.test, endpoint.port);
      half.write(encodeSetup(plainSetup('request')).subarray(0, 11));
      tail.write(encodeSetup(plainSetup('request', new Uint8Array(100))).subarray(0, 60));
      await stillServes(world, endpoint);
      const ends = [silent, half, tail].map((each) => each.ended(setupMs + 2000));
      const { elapsedMs } = await timed(Promise.all(ends));
      assert.ok(elapsedMs > setupMs - 1000, `ended after ${elapsedMs} ms`);
      assert.equal(silent.pendingBytes + half.pendingBytes + tail.pendingBytes, 0);
      assert.equal(endpoint.tryTake(), null);
      await stillServes(world, endpoint);
    },
    { timeoutMs: 30_000 },
  );

  it('what is no Request is closed at once', async (world) => {
    const { endpoint } = await listening(world);
    const http = Buffer.from('GET / HTTP/1.1\r\n\r\n');
    const reply = encodeSetup(plainSetup('reply'));
    const newer = encodeSetup({ ...plainSetup('request'), revision: 3 });
    const long = encodeSetup(plainSetup('request', new Uint8Array(509)));
    for (const bytes of [http, reply, newer, long]) {
      const script = await ScriptedPeer.dial(world.test, endpoint.port);
      script.write(bytes);
      await script.ended(2000);
    }
    assert.equal(endpoint.tryTake(), null);
    await stillServes(world, endpoint);
  });

  it('a Request that insists on markers is rejected', async (world) => {
    const { endpoint } = await listening(world);
    const script = await ScriptedPeer.dial(world.test, endpoint.port);
    const flags = setupFlags.enhanced | setupFlags.markers;
    script.write(encodeSetup({ ...plainSetup('request'), flags }));
    const reply = await script.setup();
    assert.ok((reply.flags & setupFlags.rejected) !== 0);
    assert.ok((reply.flags & setupFlags.markers) === 0);
    assert.equal(endpoint.tryTake(), null);
  });

  it('a Request cut anywhere arrives whole; 512 bytes of data are taken', async (world) => {
    const { endpoint } = await listening(world);
    const data = world.random(95).bytes(508);
    const script = await ScriptedPeer.dial(world.test, endpoint.port);
    for (const byte of encodeSetup(plainSetup('request', data))) script.write(Uint8Array.of(byte));
    const request = await endpoint.take({ timeoutMs: 5000 });
    assert.deepEqual(request?.privateData, data);
    request?.destroy();
  });

  it('more half-made connections than the bound: the newest is closed', async (world) => {
    const { endpoint } = await listening(world, { pendingSetups: 3 });
    const kept = [];
    for (let n = 0; n < 3; n++) {
      const script = await ScriptedPeer.dial(world.test, endpoint.port);
      script.write(encodeSetup(plainSetup('request')).subarray(0, 4));
      kept.push(script);
    }
    const newest = await ScriptedPeer.dial(world.test, endpoint.port);
    newest.write(Uint8Array.of(0x4d));
    await newest.ended(2000);
    assert.ok(kept.every((each) => !each.isEnded));
    for (const script of kept) script.socket.destroy();
    await stillServes(world, endpoint);
  });

  it(
    'more of them from one address than its bound: its newest is closed, others are served',
    async (world) => {
      const env = { RPMA_PROVIDER: provider };
      const host = Child.start(world.test, strangers, [], { prefix: inNamespace, env });
      for (const bound of [16, 2]) {
        const told = await host.expectAny<Served | Refused | Message>(20_000);
        if (told.kind === 'refused') {
          world.test.skip((told as Refused).reason);
          return;
        }
        assert.deepEqual(told, { kind: 'served', bound });
      }
    },
    { skip: namespaceRefusal(), timeoutMs: 45_000 },
  );

  it('loopback has no bound of its own', async (world) => {
    const { endpoint } = await listening(world, { pendingSetupsPerAddress: 2 });
    const kept = [];
    for (let n = 0; n < 5; n++) kept.push(await ScriptedPeer.dial(world.test, endpoint.port));
    await stillServes(world, endpoint);
    assert.ok(kept.every((each) => !each.isEnded));
  });

  it('a stranger that hangs up while its request waits leaves no connection behind', async (world) => {
    const { endpoint } = await listening(world);
    const script = await ScriptedPeer.dial(world.test, endpoint.port);
    script.write(encodeSetup(plainSetup('request')));
    const request = await endpoint.take({ timeoutMs: 5000 });
    assert.ok(request !== null);
    script.socket.destroy();
    const connection = request.accept();
    const end = await withDeadline(connection.whenClosed(), 'the end', 5000);
    assert.notEqual(end.type, 'established');
    await stillServes(world, endpoint);
  });

  it('an offer with no frame behind it ends at the connect deadline', async (world) => {
    const peer = await world.peer();
    const connection = { connectTimeoutMs: 300 };
    const endpoint = await peer.listen('127.0.0.1', 0, { connection });
    const script = await ScriptedPeer.dial(world.test, endpoint.port);
    script.write(encodeSetup({ ...plainSetup('request'), word: offerWord }));
    const request = await endpoint.take({ timeoutMs: 5000 });
    const accepted = request?.accept();
    assert.ok(accepted !== undefined);
    await script.setup();
    const { elapsedMs } = await timed(withDeadline(accepted.whenClosed(), 'the end', 3000));
    assert.ok(elapsedMs > 200 && elapsedMs < 1500, `${elapsedMs} ms`);
    await script.ended();
  });
});

conform('set-up of an initiator', ({ provider, it }) => {
  if (provider !== 'iwarp') return;

  it('half a Reply is UNREACHABLE at the connect deadline', async (world) => {
    const listener = await ScriptedListener.open(world.test);
    const peer = await world.peer();
    for (const length of [0, 7, 19, 22]) {
      const connection = { connectTimeoutMs: 250 };
      const attempt = peer.connect('127.0.0.1', listener.port, { connection });
      const refused = assert.rejects(attempt, withCode('UNREACHABLE'));
      const script = await listener.accept(world.test);
      await script.setup();
      script.write(encodeSetup(plainSetup('reply', new Uint8Array(8))).subarray(0, length));
      const { elapsedMs } = await timed(withDeadline(refused, 'the outcome', 3000));
      assert.ok(elapsedMs > 150 && elapsedMs < 1500, `${length} bytes: ${elapsedMs} ms`);
    }
  });

  it('a reset before any byte of a Reply is REJECTED', async (world) => {
    const listener = await ScriptedListener.open(world.test);
    const peer = await world.peer();
    const attempt = peer.connect('127.0.0.1', listener.port);
    const refused = assert.rejects(attempt, withCode('REJECTED'));
    const script = await listener.accept(world.test);
    await script.setup();
    script.socket.resetAndDestroy();
    await withDeadline(refused, 'the outcome', 3000);
  });

  it('a Reply that makes no sense fails the attempt at once', async (world) => {
    const listener = await ScriptedListener.open(world.test);
    const peer = await world.peer();
    const markers = setupFlags.enhanced | setupFlags.markers;
    for (const bytes of [
      Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
      encodeSetup(plainSetup('request')),
      encodeSetup({ ...plainSetup('reply'), flags: markers }),
      encodeSetup({ ...plainSetup('reply'), revision: 9 }),
    ]) {
      const attempt = peer.connect('127.0.0.1', listener.port);
      const failed = assert.rejects(attempt);
      const script = await listener.accept(world.test);
      await script.setup();
      script.write(bytes);
      await withDeadline(failed, 'the outcome', 3000);
      await script.ended(3000);
    }
  });

  it('what follows the Reply in its segment is the first frame', async (world) => {
    const listener = await ScriptedListener.open(world.test);
    const peer = await world.peer();
    const outgoing = await peer.createConnectionRequest('127.0.0.1', listener.port);
    outgoing.postReceive({ length: 0, id: 8 });
    const connection = outgoing.connect();
    const script = await listener.accept(world.test);
    await script.setup();
    const send = untaggedFrame(3, { queue: 0, sequence: 1 }, new Uint8Array(0));
    script.write(encodeSetup(plainSetup('reply')), send);
    await withDeadline(connection.whenEstablished(), 'established');
    const done = await connection.completionQueue.take({ timeoutMs: 5000 });
    assert.deepEqual([done?.id, done?.operation], [8, 'receive']);
  });
});
