// SPDX-License-Identifier: BSD-3-Clause
//
// Peers without our extension: the C library over siw, cards. A scripted peer plays them over a
// bare TCP socket, as responder and as initiator. Flush is a Read then, an atomic write an 8-byte
// Write.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { MemoryUsage, OperationBatch, PeerConfig, RemoteRegion } from 'rpma';
import { conform, withCode } from '../support/conform.js';
import { lastFor, timed, withDeadline } from '../support/deadline.js';
import {
  encodeSetup,
  offerWord,
  opcodes,
  plainSetup,
  plainWord,
  type SetupFrame,
  setupFlags,
  untaggedFrame,
} from '../support/iwarp.js';
import { OracleFile } from '../support/native.js';
import { plainResponder } from '../support/plain-peer.js';
import {
  type Descriptor,
  descriptorBytes,
  descriptorOf,
  ScriptedListener,
  ScriptedPeer,
} from '../support/scripted-peer.js';
import { localUsage, remoteUsage, takeAll, takeOk, type World } from '../support/world.js';

/** Memory that exists only in the script. */
const imagined: Descriptor = {
  base: 0x7f00_0000_1000n,
  lengthBytes: 4096n,
  stag: 0xabc1,
  usage: 0x39,
};
const remote = RemoteRegion.fromDescriptor(descriptorBytes(imagined));

/** A scripted initiator connects to the library. */
async function asTarget(world: World, request: SetupFrame = plainSetup('request'), direct = false) {
  const peer = await world.peer({ directWriteToPmem: direct });
  const endpoint = await peer.listen('127.0.0.1', 0);
  const script = await ScriptedPeer.dial(world.test, endpoint.port);
  script.write(encodeSetup(request));
  const incoming = await endpoint.take({ timeoutMs: 5000 });
  assert.ok(incoming !== null);
  incoming.postReceive({ length: 0, id: 50 });
  const connection = incoming.accept({ privateData: Uint8Array.of(7, 7) });
  const reply = await script.setup();
  script.crc = ((request.flags | reply.flags) & setupFlags.crc) !== 0;
  return { script, connection, reply, incoming, peer };
}

conform('plain peer as responder', ({ provider, it }) => {
  if (provider !== 'iwarp') return;

  it('is offered the extension and may pass it over', async (world) => {
    const data = Uint8Array.of(9, 9, 9);
    const { connection, request } = await plainResponder(world, plainSetup('reply', data));
    assert.equal(request.kind, 'request');
    assert.equal(request.revision, 2);
    assert.equal(request.flags & setupFlags.markers, 0);
    assert.equal(request.flags & setupFlags.crc, 0, 'no CRC is asked of others');
    assert.equal(request.word?.inboundBits, offerWord.inboundBits);
    assert.equal(request.word?.outboundBits, offerWord.outboundBits);
    assert.deepEqual(request.privateData, Uint8Array.of(1, 2));
    assert.deepEqual(connection.privateData, data);
    assert.equal(connection.capabilities.nativeFlush, false);
    assert.equal(connection.capabilities.nativeAtomicWrite, false);
  });

  it("its echo of the offer is no answer, nor is the answer's pattern without a trailer", async (world) => {
    const data = new Uint8Array(20).fill(3);
    for (const word of [offerWord, { ...plainWord, outboundBits: 0x8000 }]) {
      const reply = { ...plainSetup('reply', data), word };
      const { connection, script } = await plainResponder(world, reply);
      assert.equal(connection.capabilities.nativeFlush, false);
      assert.deepEqual(connection.privateData, data);
      script.socket.destroy();
    }
  });

  it('flush is a Read of the first 8 bytes of the range, or fewer', async (world) => {
    const { connection, script } = await plainResponder(world);
    for (const [remoteOffset, length] of [
      [0, 4096],
      [16, 8],
      [100, 5],
      [4095, 1],
      [8, 0],
    ] as const) {
      connection.postFlush({ remote, remoteOffset, length, type: 'visibility', id: length });
      const request = await script.readRequest();
      assert.equal(request.lengthBytes, Math.min(8, length));
      if (length > 0) {
        assert.equal(request.sourceStag, imagined.stag);
        assert.equal(request.sourceOffset, imagined.base + BigInt(remoteOffset));
      }
      script.answerRead(request, new Uint8Array(request.lengthBytes).fill(0xee));
      const done = await takeOk(connection.completionQueue);
      assert.deepEqual([done.operation, done.id], ['flush', length]);
      assert.equal(done.durability, undefined);
    }
  });

  it('a flush follows the writes before it', async (world) => {
    const { connection, script, local } = await plainResponder(world);
    local.bytes.set([1, 2, 3, 4]);
    connection.postWrite({ local, remote, length: 4, completion: 'on-error' });
    connection.postFlush({ remote, length: 4, type: 'visibility' });
    const write = await script.frame();
    assert.deepEqual([write.opcode, write.stag], [opcodes.write, imagined.stag]);
    assert.equal(write.taggedOffset, imagined.base);
    assert.deepEqual([...write.payload], [1, 2, 3, 4]);
    const request = await script.readRequest();
    assert.equal(request.lengthBytes, 4);
    script.answerRead(request, write.payload);
    await takeOk(connection.completionQueue);
  });

  it('what comes in one piece with its Reply is counted, too', async (world) => {
    const listener = await ScriptedListener.open(world.test);
    const peer = await world.peer();
    const outgoing = await peer.createConnectionRequest('127.0.0.1', listener.port);
    const box = await peer.allocate(8, { usage: localUsage });
    outgoing.postReceive({ local: box, length: 8 });
    const connection = outgoing.connect();
    const script = await listener.accept(world.test);
    await script.setup();
    const frame = untaggedFrame(opcodes.send, { queue: 0, sequence: 1 }, Uint8Array.of(1, 2, 3));
    script.write(Buffer.concat([encodeSetup(plainSetup('reply')), frame]));
    assert.equal((await takeOk(connection.completionQueue)).length, 3);
    const { bytesReceived, framesReceived, receivesCompleted } = connection.statistics();
    assert.deepEqual([bytesReceived, framesReceived, receivesCompleted], [frame.length, 1, 1]);
  });

  it('persistent flush is refused until vouched for, then it is vouched', async (world) => {
    const { connection, script } = await plainResponder(world);
    const flush = { remote, length: 64, type: 'persistent' as const };
    assert.equal(connection.canFlush(remote, 'persistent'), false);
    assert.throws(() => connection.postFlush(flush), withCode('NOT_PERSISTENT'));
    connection.applyRemotePeerConfig(new PeerConfig({ directWriteToPmem: false }));
    assert.throws(() => connection.postFlush(flush), withCode('NOT_PERSISTENT'));
    connection.applyRemotePeerConfig(new PeerConfig({ directWriteToPmem: true }));
    assert.equal(connection.canFlush(remote, 'persistent'), true);
    connection.postFlush(flush);
    const request = await script.readRequest();
    assert.equal(request.lengthBytes, 8);
    script.answerRead(request, new Uint8Array(8));
    const done = await takeOk(connection.completionQueue);
    assert.equal(done.durability, 'vouched');
    const { flushesEmulated, flushesNative } = connection.statistics();
    assert.deepEqual([flushesEmulated, flushesNative], [1, 0]);
  });

  it('of a batch the post decides whether a persistent flush is vouched for', async (world) => {
    const { connection, script } = await plainResponder(world);
    const batch = new OperationBatch(2)
      .write({ length: 0, completion: 'on-error' })
      .flush({ remote, length: 64, type: 'persistent' });
    assert.throws(() => connection.post(batch), withCode('NOT_PERSISTENT'));
    assert.throws(() => connection.post(batch), /operation 1 of the batch: /);
    assert.equal(connection.sendQueueFree, 10);
    connection.applyRemotePeerConfig(new PeerConfig({ directWriteToPmem: true }));
    assert.equal(connection.post(batch), 2);
    assert.equal((await script.frame()).opcode, opcodes.write);
    script.answerRead(await script.readRequest(), new Uint8Array(8));
    assert.equal((await takeOk(connection.completionQueue)).durability, 'vouched');
  });

  it('of a batch the post refuses immediate data and names the place', async (world) => {
    const { connection, local } = await plainResponder(world);
    const batch = new OperationBatch(3)
      .write({ length: 0 })
      .send({ local, length: 8, immediate: 7 })
      .write({ local, remote, length: 8, immediate: 8 });
    assert.throws(() => connection.post(batch), withCode('NOT_SUPPORTED'));
    assert.throws(() => connection.post(batch), /operation 1 of the batch: send: immediate data/);
    assert.throws(() => connection.post(batch, 2), /operation 2 of the batch: write: immediate/);
    assert.equal(connection.sendQueueFree, 10, 'nothing was posted');
  });

  it('an atomic write is an 8-byte Write after all earlier Reads completed', async (world) => {
    const { connection, script, local } = await plainResponder(world);
    connection.postRead({ local, remote, length: 16, id: 1 });
    connection.postFlush({ remote, length: 8, type: 'visibility', id: 2 });
    connection.postAtomicWrite({ remote, remoteOffset: 8, value: 0x0102n, id: 3 });
    connection.postWrite({ local, remote, length: 1, id: 4 });
    const first = await script.readRequest();
    const second = await script.readRequest();
    await lastFor(40); // a Write that did not wait would be here by now
    assert.equal(script.pendingBytes, 0, 'the Write waits for the Reads');
    script.answerRead(first, new Uint8Array(16));
    await takeOk(connection.completionQueue);
    await lastFor(40);
    assert.equal(script.pendingBytes, 0, 'for all of them');
    script.answerRead(second, new Uint8Array(8));
    const write = await script.frame();
    assert.equal(write.opcode, opcodes.write);
    assert.equal(write.taggedOffset, imagined.base + 8n);
    assert.deepEqual([...write.payload], [2, 1, 0, 0, 0, 0, 0, 0]);
    assert.equal((await script.frame()).payload.length, 1);
    const rest = await takeAll(connection.completionQueue, 3);
    assert.deepEqual(
      rest.map((each) => [each.id, each.operation]),
      [
        [2, 'flush'],
        [3, 'atomic-write'],
        [4, 'write'],
      ],
    );
  });

  it('that asks for CRC gets it, and ours is checked too', async (world) => {
    const reply = { ...plainSetup('reply'), flags: setupFlags.enhanced | setupFlags.crc };
    const { connection, script, local } = await plainResponder(world, reply);
    local.bytes.fill(4, 0, 3);
    connection.postWrite({ local, remote, length: 3, completion: 'on-error' });
    connection.postRead({ local, remote, length: 8 });
    assert.equal((await script.frame()).opcode, opcodes.write);
    script.answerRead(await script.readRequest(), new Uint8Array(8).fill(6));
    await takeOk(connection.completionQueue);
    assert.equal(local.bytes[0], 6);
    connection.postRead({ local, remote, length: 8, id: 2 });
    const request = await script.readRequest();
    script.crc = false;
    script.answerRead(request, new Uint8Array(8).fill(7));
    const [refused] = await takeAll(connection.completionQueue, 1);
    assert.equal(refused?.ok, false);
    assert.equal(local.bytes[0], 6, 'not a byte of a damaged frame is placed');
  });

  it('requireNative refuses it at connect', async (world) => {
    const listener = await ScriptedListener.open(world.test);
    const peer = await world.peer();
    for (const feature of ['flush', 'atomicWrite'] as const) {
      const connection = { requireNative: [feature] };
      const attempt = peer.connect('127.0.0.1', listener.port, { connection });
      const refused = assert.rejects(attempt, withCode('NOT_SUPPORTED'));
      const script = await listener.accept(world.test);
      await script.setup();
      script.write(encodeSetup(plainSetup('reply')));
      await withDeadline(refused, 'the refusal');
    }
  });

  it('sends and receives pass in both directions', async (world) => {
    const { connection, script, local } = await plainResponder(world);
    connection.postReceive({ local, length: 64, id: 1 });
    local.bytes.set([8, 9], 100);
    connection.postSend({ local, localOffset: 100, length: 2, id: 2 });
    const sent = await script.frame();
    assert.deepEqual([sent.opcode, sent.queue, sent.sequence], [opcodes.send, 0, 1]);
    assert.deepEqual([...sent.payload], [8, 9]);
    script.send(Uint8Array.of(5));
    const done = await takeAll(connection.completionQueue, 2);
    assert.deepEqual(done.map((each) => each.operation).sort(), ['receive', 'send']);
  });
});

conform('plain peer as initiator', ({ provider, it }) => {
  if (provider !== 'iwarp') return;

  it('gets a plain Reply, to the byte what the application said', async (world) => {
    const { connection, reply, incoming, script } = await asTarget(
      world,
      plainSetup('request', Uint8Array.of(1, 2, 3)),
    );
    assert.deepEqual(incoming.privateData, Uint8Array.of(1, 2, 3));
    assert.equal(reply.kind, 'reply');
    assert.equal(reply.revision, 2);
    assert.equal(reply.flags & (setupFlags.rejected | setupFlags.markers), 0);
    assert.equal((reply.word?.inboundBits ?? 1) | (reply.word?.outboundBits ?? 1), 0);
    assert.deepEqual(reply.privateData, Uint8Array.of(7, 7));
    script.send(new Uint8Array(0));
    await withDeadline(connection.whenEstablished(), 'established');
    assert.equal(connection.capabilities.nativeFlush, false);
    assert.equal((await takeOk(connection.completionQueue)).id, 50);
  });

  it('of revision 1 gets a Reply of revision 1 without the enhanced word', async (world) => {
    const request: SetupFrame = {
      kind: 'request',
      flags: 0,
      revision: 1,
      word: null,
      privateData: Uint8Array.of(5),
    };
    const { reply, incoming, script, connection } = await asTarget(world, request);
    assert.deepEqual(incoming.privateData, Uint8Array.of(5));
    assert.deepEqual([reply.revision, reply.flags, reply.word], [1, 0, null]);
    assert.deepEqual(reply.privateData, Uint8Array.of(7, 7));
    script.send(new Uint8Array(0));
    await withDeadline(connection.whenEstablished(), 'established');
  });

  it('its rejection carries the enhanced word and the data', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    const script = await ScriptedPeer.dial(world.test, endpoint.port);
    script.write(encodeSetup(plainSetup('request')));
    const request = await endpoint.take({ timeoutMs: 5000 });
    request?.reject({ privateData: Uint8Array.of(4, 4) });
    const reply = await script.setup();
    assert.ok((reply.flags & setupFlags.rejected) !== 0);
    assert.ok(reply.word !== null);
    assert.deepEqual(reply.privateData, Uint8Array.of(4, 4));
    // Our FIN waits for theirs: right behind the Reply it would make some peers lose the data.
    await lastFor(100);
    assert.equal(script.isEnded, false);
    script.socket.end();
    await script.ended();
  });

  it('writes and reads memory it was lent', async (world) => {
    const { script, peer } = await asTarget(world);
    const region = await peer.allocate(4096, { usage: remoteUsage });
    const lent = descriptorOf(region);
    script.rdmaWrite(lent, 10, Uint8Array.of(1, 2, 3));
    assert.deepEqual([...(await script.read(lent, 9, 5))], [0, 1, 2, 3, 0]);
    assert.deepEqual([...region.bytes.subarray(10, 13)], [1, 2, 3]);
  });

  it('a flush grant admits Reads of at most 8 bytes, ReadSource all', async (world) => {
    const { script, peer } = await asTarget(world);
    const usage = MemoryUsage.WriteDestination | MemoryUsage.FlushVisibility;
    const lent = descriptorOf(await peer.allocate(4096, { usage }));
    script.rdmaWrite(lent, 0, Uint8Array.of(6));
    assert.equal((await script.read(lent, 0, 8))[0], 6);
    assert.equal((await script.read(lent, 4095, 1)).length, 1);
    await assert.rejects(script.read(lent, 0, 9), /Terminate 0\/1\/2/);
  });

  it('without any grant a Read of one byte is refused', async (world) => {
    const { script, peer } = await asTarget(world);
    const lent = descriptorOf(await peer.allocate(64, { usage: MemoryUsage.WriteDestination }));
    await assert.rejects(script.read(lent, 0, 1), /Terminate 0\/1\/2/);
  });

  it('directWriteToPmem: what it wrote is persisted before a later Read Response leaves', async (world) => {
    const { script, peer } = await asTarget(world, plainSetup('request'), true);
    const path = join(await world.folder(), 'oracle.pmem');
    const oracle = await OracleFile.map(path, { create: true, sizeBytes: 16_384 });
    world.keep(oracle.file);
    const usage = MemoryUsage.WriteDestination | MemoryUsage.FlushVisibility;
    const lent = descriptorOf(await peer.register(oracle.file, { usage }));
    for (let round = 1; round <= 5; round++) {
      script.rdmaWrite(lent, 100, new Uint8Array(50).fill(round));
      script.rdmaWrite(lent, 9000, new Uint8Array(50).fill(round));
      await script.read(lent, 0, 8);
      const copy = oracle.copy();
      assert.ok(copy.subarray(100, 150).every((byte) => byte === round));
      assert.ok(copy.subarray(9000, 9050).every((byte) => byte === round));
    }
    const { persists } = oracle;
    await script.read(lent, 0, 8);
    assert.equal(oracle.persists, persists, 'nothing written, nothing persisted');
  });

  it('without directWriteToPmem nothing of it is persisted', async (world) => {
    const { script, peer } = await asTarget(world);
    const path = join(await world.folder(), 'oracle.pmem');
    const oracle = await OracleFile.map(path, { create: true, sizeBytes: 4096 });
    world.keep(oracle.file);
    const lent = descriptorOf(await peer.register(oracle.file, { usage: remoteUsage }));
    script.rdmaWrite(lent, 0, Uint8Array.of(1, 2, 3));
    await script.read(lent, 0, 8);
    assert.equal(oracle.persists, 0);
    assert.equal(oracle.file.bytes[1], 2);
  });

  it('when it stays silent the target may speak first after a short grace', async (world) => {
    const { script, connection, reply } = await asTarget(world);
    assert.equal(reply.kind, 'reply');
    const { elapsedMs } = await timed(withDeadline(connection.whenEstablished(), 'established'));
    assert.ok(elapsedMs > 5 && elapsedMs < 1000, `${elapsedMs} ms`);
    assert.equal(script.pendingBytes, 0, 'nothing leaves before');
    connection.postSend({ length: 0 });
    const sent = await script.frame();
    assert.deepEqual([sent.opcode, sent.sequence], [opcodes.send, 1]);
  });

  it('that leaves without a frame was up: established, then closed', async (world) => {
    const { script, connection } = await asTarget(world);
    script.socket.end();
    await withDeadline(connection.whenEstablished(), 'established');
    const types = [];
    for await (const event of connection.events) types.push(event.type);
    assert.deepEqual(types, ['established', 'closed']);
  });

  it('requireNative is answered by a rejection, not by an accepting Reply', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    const script = await ScriptedPeer.dial(world.test, endpoint.port);
    script.write(encodeSetup(plainSetup('request')));
    const connection = { requireNative: ['flush'] as const };
    const request = await endpoint.take({ timeoutMs: 5000, connection });
    assert.ok(request !== null);
    const refused = assert.rejects(request.accept().whenEstablished(), withCode('NOT_SUPPORTED'));
    assert.ok(((await script.setup()).flags & setupFlags.rejected) !== 0);
    await withDeadline(refused, 'the refusal');
    script.socket.end();
    await script.ended();
  });

  it('its first frame ends the grace at once', async (world) => {
    const { script, connection } = await asTarget(world);
    script.send(new Uint8Array(0));
    await withDeadline(connection.whenEstablished(), 'established');
    connection.postSend({ length: 0 });
    assert.equal((await script.frame()).opcode, opcodes.send);
  });

  it('an offer without a hello behind it is a plain peer', async (world) => {
    const request = { ...plainSetup('request'), word: offerWord };
    const { script, connection, reply } = await asTarget(world, request);
    assert.equal(reply.word?.outboundBits, 0x8000, 'the offer is answered');
    assert.equal(reply.privateData.length, 2 + 16);
    script.send(new Uint8Array(0));
    await withDeadline(connection.whenEstablished(), 'established');
    assert.equal(connection.capabilities.nativeFlush, false);
  });

  it('that asks for CRC gets it', async (world) => {
    const request = { ...plainSetup('request'), flags: setupFlags.enhanced | setupFlags.crc };
    const { script, connection, reply } = await asTarget(world, request);
    assert.ok((reply.flags & setupFlags.crc) !== 0);
    script.send(new Uint8Array(0));
    await withDeadline(connection.whenEstablished(), 'established');
    connection.postSend({ length: 0 });
    assert.ok((await script.frame()).crcIsRight);
  });

  it('a Send with Solicited Event is a Send', async (world) => {
    const { script, connection } = await asTarget(world);
    script.write(
      untaggedFrame(opcodes.sendSolicited, { queue: 0, sequence: 1 }, new Uint8Array(0)),
    );
    assert.equal((await takeOk(connection.completionQueue)).operation, 'receive');
  });
});
