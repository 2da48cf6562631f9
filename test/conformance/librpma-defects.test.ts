// SPDX-License-Identifier: BSD-3-Clause
//
// Defects of librpma that are gone, one by one, as docs/guides/from-librpma.md numbers them. B2
// (queue pairs that old devices refuse) concerns devices, and B6 (a log line that reads an
// uninitialised variable) has nothing to correspond to; B5 needs a fault and is tested in
// test/fault/failed-take.test.ts.

import assert from 'node:assert/strict';
import { type Connection, isRpmaError, MemoryUsage, type Peer, PmemFile, RemoteRegion } from 'rpma';
import { argumentError, conform, withCode } from '../support/conform.js';
import { withDeadline } from '../support/deadline.js';
import { type Footprint, growth, settledFootprint } from '../support/footprint.js';
import { encodeSetup, plainSetup } from '../support/iwarp.js';
import { plainResponder } from '../support/plain-peer.js';
import { descriptorBytes, descriptorOf, ScriptedPeer } from '../support/scripted-peer.js';
import { takeAll, takeOk } from '../support/world.js';

/** Dials, and is answered by `answer`; gives the code of the refusal. */
async function refusedBy(
  peer: Peer,
  port: number,
  answer: () => Promise<void>,
): Promise<string | null> {
  const dialling = peer.connect('127.0.0.1', port).then(
    (connection: Connection) => {
      connection.destroy();
      return null;
    },
    (error: unknown) => (isRpmaError(error) ? error.code : String(error)),
  );
  await answer();
  return withDeadline(dialling, 'the end of the attempt');
}

conform('defects of librpma that are gone', ({ provider, it }) => {
  const scripted = { skip: provider === 'iwarp' ? false : 'needs a scripted peer' } as const;

  it('B1: nothing queued is null, not an error, on events and on endpoints', async (world) => {
    const { initiator, endpoint } = await world.pair();
    assert.equal(initiator.events.tryTake()?.type, 'established');
    for (let round = 0; round < 3; round++) {
      assert.equal(initiator.events.tryTake(), null);
      assert.equal(initiator.events.takeSync(0), null);
      assert.equal(await initiator.events.take({ timeoutMs: 1 }), null);
      assert.equal(endpoint.tryTake(), null);
      assert.equal(endpoint.takeSync(0), null);
      assert.equal(await endpoint.take({ timeoutMs: 1 }), null);
    }
    assert.equal(initiator.state, 'established');
  });

  it('B3: rejecting leaves nothing behind, however often', async (world) => {
    const [client, server] = [await world.peer(), await world.peer()];
    const endpoint = await server.listen('127.0.0.1', 0);
    const round = async (): Promise<Footprint> => {
      for (let n = 0; n < 30; n++) {
        const code = await refusedBy(client, endpoint.port, async () => {
          const request = await withDeadline(endpoint.take(), 'a request');
          if (n % 2 === 0) request?.reject();
          else request?.destroy();
        });
        assert.equal(code, 'ERR_RPMA_REJECTED');
      }
      return settledFootprint();
    };
    await round();
    const before = await round();
    // A rejected side lingers for a moment; what leaks grows in every round.
    let found = ['not looked yet'];
    for (let n = 0; n < 10 && found.length > 0; n++) {
      found = growth(before, await round(), Number.MAX_SAFE_INTEGER);
    }
    assert.deepEqual(found, []);
  });

  it(
    'B3: an accept whose client has gone leaves nothing behind',
    async (world) => {
      const server = await world.peer();
      const endpoint = await server.listen('127.0.0.1', 0);
      const round = async (): Promise<Footprint> => {
        for (let n = 0; n < 30; n++) {
          const script = await ScriptedPeer.dial(world.test, endpoint.port);
          script.write(encodeSetup(plainSetup('request')));
          const request = await withDeadline(endpoint.take(), 'a request');
          script.socket.resetAndDestroy();
          const connection = request?.accept();
          assert.ok(connection !== undefined);
          await withDeadline(connection.whenClosed(), 'the end');
          await connection.close();
        }
        return settledFootprint();
      };
      await round();
      const before = await round();
      let found = ['not looked yet'];
      for (let n = 0; n < 10 && found.length > 0; n++) {
        found = growth(before, await round(), Number.MAX_SAFE_INTEGER);
      }
      assert.deepEqual(found, []);
    },
    scripted,
  );

  it('B4: a queue that serves several connections outlives each of them', async (world) => {
    const peer = await world.peer();
    const queue = await peer.createCompletionQueue();
    const options = { initiatorPeer: peer, initiator: { completionQueue: queue } };
    const first = await world.pair(options);
    const second = await world.again(first, options);
    first.initiator.postWrite({ length: 0, id: 1 });
    assert.equal(await queue.wait({ timeoutMs: 10_000 }), true);
    // The completion of a connection that has gone is fetched all the same, and ends nothing.
    await withDeadline(first.initiator.close(), 'close()');
    assert.equal((await takeOk(queue)).queuePairNumber, first.initiator.queuePairNumber);
    second.initiator.postWrite({ length: 0, id: 2 });
    assert.equal((await takeOk(queue)).id, 2);
    await withDeadline(second.initiator.close(), 'close()');
    await withDeadline(peer.close(), 'the peer closes');
  });

  it('B7: a flush grant alone suffices, natively', async (world) => {
    const pair = await world.pair();
    const { remote } = await world.lend(pair, 64, MemoryUsage.FlushVisibility);
    pair.initiator.postFlush({ remote, length: 64, type: 'visibility' });
    assert.equal((await takeOk(pair.initiator.completionQueue)).operation, 'flush');
  });

  it(
    'B7: a flush grant alone suffices for a peer that can only read, 8 bytes at a time',
    async (world) => {
      const peer = await world.peer();
      const endpoint = await peer.listen('127.0.0.1', 0);
      const script = await ScriptedPeer.dial(world.test, endpoint.port);
      const replied = script.request();
      (await withDeadline(endpoint.take(), 'a request'))?.accept();
      await replied;
      const usage = MemoryUsage.WriteDestination | MemoryUsage.FlushVisibility;
      const region = await peer.allocate(64, { usage });
      script.rdmaWrite(descriptorOf(region), 0, Uint8Array.of(4, 5));
      assert.equal((await script.read(descriptorOf(region), 0, 8)).length, 8);
      assert.deepEqual([...region.bytes.subarray(0, 2)], [4, 5]);
      await assert.rejects(script.read(descriptorOf(region), 0, 9), /Terminate/);
    },
    scripted,
  );

  it(
    'B8: a flush reads no byte beyond its range, in regions of any size',
    async (world) => {
      const { connection, script } = await plainResponder(world);
      for (const [size, remoteOffset, length] of [
        [4, 0, 4],
        [4096, 4090, 6],
        [4096, 4095, 1],
        [4096, 90, 4000],
      ] as const) {
        const at = { base: 0x1000n, lengthBytes: BigInt(size), stag: 9, usage: 0x18 };
        const remote = RemoteRegion.fromDescriptor(descriptorBytes(at));
        connection.postFlush({ remote, remoteOffset, length, type: 'visibility' });
        const request = await script.readRequest();
        assert.equal(request.sourceOffset, at.base + BigInt(remoteOffset));
        assert.equal(request.lengthBytes, Math.min(8, length));
        script.answerRead(request, new Uint8Array(request.lengthBytes));
        await takeOk(connection.completionQueue);
      }
    },
    scripted,
  );

  it('B8: a flush of the last bytes of a region, and of regions under 8 bytes, works', async (world) => {
    const pair = await world.pair();
    for (const size of [1, 4, 7, 8, 9]) {
      const { remote } = await world.lend(pair, size);
      const last = { remote, remoteOffset: size - 1, length: 1, type: 'visibility' } as const;
      pair.initiator.postFlush(last);
      pair.initiator.postFlush({ remote, length: size, type: 'visibility' });
      const done = await takeAll(pair.initiator.completionQueue, 2);
      assert.ok(done.every((each) => each.ok));
    }
  });

  it('B9: the end is told once', async (world) => {
    const { initiator, target } = await world.pair();
    initiator.disconnect();
    await withDeadline(Promise.all([initiator.whenClosed(), target.whenClosed()]), 'the end');
    target.disconnect();
    for (const { events } of [initiator, target]) {
      assert.equal(events.tryTake()?.type, 'established');
      assert.equal(events.tryTake()?.type, 'closed');
      assert.equal(await events.take(), null);
    }
  });

  it('B10: memory that is read-only may be a write source', async (world) => {
    const pair = await world.pair();
    const writable = await world.file(4096);
    writable.bytes.set([7, 7]);
    const file = world.keep(await PmemFile.map(writable.path, { readOnly: true }));
    const local = await pair.initiatorPeer.register(file, { usage: MemoryUsage.WriteSource });
    const { region, remote } = await world.lend(pair);
    pair.initiator.postWrite({ local, remote, length: 2, completion: 'on-error' });
    pair.initiator.postFlush({ remote, length: 2, type: 'visibility' });
    await takeOk(pair.initiator.completionQueue);
    assert.deepEqual([...region.bytes.subarray(0, 2)], [7, 7]);
  });

  it('B11: what cannot be closed stays open, and can be closed later', async (world) => {
    const peer = await world.peer();
    const file = await world.file(4096);
    const region = await peer.register(file, { usage: MemoryUsage.ReadSource });
    await assert.rejects(file.unmap(), withCode('BUSY'));
    file.bytes[0] = 3;
    assert.equal(region.sizeBytes, 4096);
    await region.close();
    await file.unmap();
  });

  it('B11: a flush of no known type is refused', async (world) => {
    const pair = await world.pair();
    const { remote } = await world.lend(pair);
    for (const type of ['both', '', 'Persistent']) {
      assert.throws(
        () => pair.initiator.postFlush({ remote, length: 8, type: type as 'visibility' }),
        argumentError('TypeError', 'INVALID_ARG_VALUE'),
      );
    }
  });
});
