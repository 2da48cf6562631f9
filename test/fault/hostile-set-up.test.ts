// SPDX-License-Identifier: BSD-3-Clause
//
// Set-up frames that break the rules, in both roles: Requests and Replies that are malformed, cut,
// padded, random or answered out of turn. A stranger's Request costs nothing but its socket, and
// nothing makes this side send a Reply that would harm the host of another implementation; a
// malformed Reply is told to the one that sent it. Half-made connections: set-up.test.ts.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import { type Connection, type ConnectionOptions, type IncomingRequest, isRpmaError } from 'rpma';
import { conform, withCode } from '../support/conform.js';
import { until, withDeadline } from '../support/deadline.js';
import {
  encodeSetup,
  expectedWords,
  offerWord,
  opcodes,
  plainSetup,
  plainWord,
  type SetupFrame,
  setupFlags,
  terminateWords,
} from '../support/iwarp.js';
import { ScriptedListener, ScriptedPeer } from '../support/scripted-peer.js';
import { alive, Forge, imaginedRemote, nothing, nothingLeft, Siege } from '../support/siege.js';
import { localUsage, takeAll } from '../support/world.js';

const { enhanced, markers, crc, rejected } = setupFlags;
const plain = new Forge(false);
const harmless = plain.tagged(opcodes.write, 1, 0n, nothing);

/** A set-up frame with a length field of its own, whatever follows. */
function claimed(frame: SetupFrame, lengthBytes: number): Uint8Array {
  const bytes = Buffer.from(encodeSetup(frame));
  bytes.writeUInt16BE(lengthBytes, 18);
  return bytes.subarray(0, 20 + Math.min(lengthBytes, bytes.length - 20));
}

function requestOf(change: Partial<SetupFrame>): SetupFrame {
  return { ...plainSetup('request'), ...change };
}

function replyOf(change: Partial<SetupFrame>): SetupFrame {
  return { ...plainSetup('reply'), ...change };
}

/** Sends bytes in place of a Request; what came back, when the other side had ended the stream. */
async function strange(siege: Siege, bytes: Uint8Array): Promise<Uint8Array> {
  const script = await ScriptedPeer.dial(siege.world.test, siege.pair.endpoint.port);
  script.write(bytes);
  await Promise.all([script.ended(2000), siege.witness()]);
  return script.takePending();
}

let baseline = '';

conform('hostile Requests', ({ provider, it }) => {
  if (provider !== 'iwarp') return;

  it('what an environment keeps for its life is there', async (world) => {
    await (await Siege.open(world)).stillServes();
    await world.end();
    baseline = alive();
  });

  it('a malformed Request is closed without a Reply, and nobody hears of it', async (world) => {
    const siege = await Siege.open(world);
    const long = new Uint8Array(600);
    const request = encodeSetup(plainSetup('request'));
    const tried = [
      ...[0, 1, 2, 3].map((length) => claimed(plainSetup('request'), length)),
      ...[513, 600].map((length) => claimed(plainSetup('request', long), length)),
      claimed(plainSetup('request'), 0xffff),
      ...[3, 4, 255].map((revision) => encodeSetup(requestOf({ revision }))),
      encodeSetup(plainSetup('reply')),
      ...Array.from({ length: 16 }, (_, at) => {
        const wrong = Buffer.from(request);
        wrong[at] = (wrong[at] ?? 0) ^ 0x20;
        return wrong;
      }),
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Uint8Array.of(0),
    ];
    for (const bytes of tried) {
      assert.equal((await strange(siege, bytes)).length, 0, 'no Reply');
      assert.equal(siege.pair.endpoint.tryTake(), null, 'no request');
    }
    await siege.stillServes();
    world.test.diagnostic(`${tried.length} Requests`);
  });

  it('a Request with bytes behind it is closed without a Reply', async (world) => {
    const siege = await Siege.open(world);
    const request = encodeSetup(plainSetup('request'));
    const largest = encodeSetup(plainSetup('request', new Uint8Array(508)));
    for (const behind of [Uint8Array.of(0), harmless, request, new Uint8Array(5000)]) {
      for (const before of [request, largest]) {
        const bytes = Buffer.concat([before, behind]);
        assert.equal((await strange(siege, bytes)).length, 0, 'no Reply');
        assert.equal(siege.pair.endpoint.tryTake(), null, 'no request');
      }
    }
    await siege.stillServes();
  });

  it('a Request of 257 and of 512 bytes of private data is taken', async (world) => {
    const siege = await Siege.open(world);
    for (const length of [253, 508]) {
      const script = await ScriptedPeer.dial(world.test, siege.pair.endpoint.port);
      const data = new Uint8Array(length).fill(length);
      script.write(encodeSetup(plainSetup('request', data)));
      const request = await siege.pair.endpoint.take({ timeoutMs: 5000 });
      assert.deepEqual(request?.privateData, data);
      request?.destroy();
    }
  });

  it('a Request without the word gets a Reply without it, in its revision', async (world) => {
    const siege = await Siege.open(world);
    for (const [revision, flags] of [
      [0, 0],
      [1, 0],
      [1, enhanced], // a reserved bit in revision 1
      [2, 0],
      [2, 0x0f],
    ] as const) {
      const script = await ScriptedPeer.dial(world.test, siege.pair.endpoint.port);
      const data = Uint8Array.of(1, 2, 3, 4, 5);
      script.write(
        encodeSetup({ kind: 'request', flags, revision, word: null, privateData: data }),
      );
      const request = await siege.pair.endpoint.take({ timeoutMs: 5000 });
      assert.deepEqual(request?.privateData, data);
      request.accept({ privateData: Uint8Array.of(9) });
      const reply = await script.setup();
      assert.deepEqual([reply.revision, reply.flags, reply.word], [revision, 0, null]);
      assert.deepEqual(reply.privateData, Uint8Array.of(9));
      script.socket.destroy();
    }
  });

  it('a Request that insists on markers is rejected with the word and without M', async (world) => {
    const siege = await Siege.open(world);
    for (const word of [plainWord, offerWord]) {
      const bytes = encodeSetup(requestOf({ flags: enhanced | markers, word }));
      const script = await ScriptedPeer.dial(world.test, siege.pair.endpoint.port);
      script.write(bytes);
      const reply = await script.setup();
      assert.equal(reply.flags, enhanced | rejected);
      assert.ok(reply.word !== null);
      script.socket.end();
      await script.ended();
      assert.equal(siege.pair.endpoint.tryTake(), null);
    }
  });

  it('the peer-to-peer model: the Reply names one kind of first frame, and waits for it', async (world) => {
    const siege = await Siege.open(world);
    const [write, read, send] = [0x8000, 0x4000, 0x4000];
    for (const [asked, named] of [
      [write, write],
      [read, read],
      [write | read, write],
      [0, write],
    ] as const) {
      const script = await ScriptedPeer.dial(world.test, siege.pair.endpoint.port);
      const word = { ...plainWord, inboundBits: 0x8000 | send, outboundBits: asked };
      script.write(encodeSetup(requestOf({ word })));
      const request = await siege.pair.endpoint.take({ timeoutMs: 5000 });
      const connection = request?.accept();
      assert.ok(connection !== undefined);
      const reply = await script.setup();
      assert.equal(reply.word?.inboundBits, 0x8000, 'A, and not the empty Send');
      assert.equal(reply.word.outboundBits, named);
      await siege.witness();
      assert.equal(connection.state, 'connecting');
      if (named === read) {
        script.write(plain.read({ base: 0n, lengthBytes: 0n, stag: 1, usage: 0 }, 0));
        const answer = await script.frame();
        assert.deepEqual([answer.opcode, answer.last], [opcodes.readResponse, true]);
        assert.equal(answer.payload.length, 0);
      } else {
        script.write(harmless);
      }
      await withDeadline(connection.whenEstablished(), 'established');
      script.socket.destroy();
    }
  });

  it('no mutated Request makes us send a Reply that harms its host', async (world) => {
    const siege = await Siege.open(world);
    const random = world.random(4501);
    const count = 400;
    let replies = 0;
    for (let n = 0; n < count; n++) {
      const { endpoint } = siege.pair;
      const script = await ScriptedPeer.dial(world.test, endpoint.port);
      const base = requestOf({
        flags: random.pick([0, enhanced, enhanced | crc, enhanced | markers, random.below(256)]),
        revision: random.pick([0, 1, 2, 2, 2, random.below(256)]),
        word: random.pick([plainWord, offerWord, null]),
        privateData: random.bytes(random.pick([0, 1, 4, 251, 508])),
      });
      const bytes = Buffer.from(encodeSetup(base));
      if (random.below(3) === 0) bytes.writeUInt16BE(random.below(600), 18);
      if (random.below(3) === 0) bytes[random.below(bytes.length)] = random.below(256);
      script.write(bytes);
      script.socket.end();
      const asked = bytes.readUInt16BE(18);
      const isWhole = bytes.length === 20 + asked;
      let taken: IncomingRequest | null = null;
      await until(() => {
        taken ??= endpoint.tryTake();
        return script.isEnded || taken !== null;
      }, 'a request or the end');
      (taken as IncomingRequest | null)?.accept({
        privateData: random.bytes(random.pick([0, 251])),
      });
      await script.ended();
      const reply = Buffer.from(script.takePending());
      if (reply.length === 0) continue;
      replies++;
      assert.ok(isWhole, 'a Reply to a whole Request only');
      const length = reply.readUInt16BE(18);
      const flags = reply.readUInt8(16);
      const isOffer = base.word === offerWord;
      assert.ok(reply.length >= 20 + length, 'the Reply is whole');
      assert.equal(flags & (markers | 0x0f), 0);
      if ((flags & enhanced) !== 0) {
        assert.ok(length >= 4 && length <= (isOffer ? 271 : 255), `PD_Length ${length}`);
      }
    }
    assert.ok(replies > count / 10, `${replies} Replies`);
    await siege.stillServes();
    world.test.diagnostic(`${count} Requests, ${replies} Replies`);
  });
});

interface Dialled {
  readonly script: ScriptedPeer;
  readonly request: SetupFrame;
  readonly connection: Connection;
}

/** The library dials a script, which has its Request and is to answer. */
async function dialled(
  siege: Siege,
  listener: ScriptedListener,
  options: ConnectionOptions = {},
): Promise<Dialled> {
  const { targetPeer } = siege.pair;
  const outgoing = await targetPeer.createConnectionRequest('127.0.0.1', listener.port, {
    connection: options,
  });
  outgoing.postReceive({ local: siege.sink.region, length: 64, id: 1 });
  const connection = outgoing.connect({ privateData: Uint8Array.of(1, 2, 3) });
  const script = await listener.accept(siege.world.test);
  return { script, connection, request: await script.setup() };
}

/** A Reply that ends the attempt: its outcome, the Terminate if any, and nothing left. */
async function refusedReply(
  siege: Siege,
  on: Dialled,
  reply: Uint8Array,
  expected: { readonly cause: string | null; readonly code: string },
): Promise<void> {
  const { script, connection } = on;
  const outcome = assert.rejects(connection.whenEstablished(), withCode(expected.code));
  script.write(reply);
  const [frames] = await Promise.all([script.rest(), siege.witness(), outcome]);
  const words = frames.map(terminateWords);
  assert.deepEqual(words, expected.cause === null ? [] : [expectedWords(expected.cause, nothing)]);
  if (expected.cause !== null) assert.equal(script.endedBy, 'fin', 'FIN, not RST');
  const [receive] = await takeAll(connection.completionQueue, 1);
  assert.deepEqual([receive?.id, receive?.status], [1, 'flushed']);
  script.socket.destroy();
  siege.arena.check('after a refused Reply');
}

conform('hostile Replies', ({ provider, it }) => {
  if (provider !== 'iwarp') return;

  it('our Request leaves in one piece, to the byte what was chosen', async (world) => {
    const siege = await Siege.open(world);
    const listener = await ScriptedListener.open(world.test);
    for (const [options, flags] of [
      [{}, enhanced],
      [{ crc: 'required' }, enhanced | crc],
      [{ inboundReads: 8, outboundReads: 4 }, enhanced],
    ] as const) {
      const { targetPeer } = siege.pair;
      const privateData = new Uint8Array(251).fill(7);
      const dialling = targetPeer.connect('127.0.0.1', listener.port, {
        connection: options,
        privateData,
      });
      const ended = assert.rejects(dialling);
      const script = await listener.accept(world.test);
      const first = await script.firstChunk();
      const { inboundReads = 32, outboundReads = 32 } = options as ConnectionOptions;
      const word = { ...offerWord, inboundReads, outboundReads };
      assert.deepEqual(
        first,
        Uint8Array.from(encodeSetup(requestOf({ flags, word, privateData }))),
      );
      assert.equal(script.pendingBytes, first.length);
      script.socket.destroy();
      await ended;
    }
  });

  it('a Reply cut into single bytes is taken', async (world) => {
    const siege = await Siege.open(world);
    const listener = await ScriptedListener.open(world.test);
    const { script, connection } = await dialled(siege, listener);
    const data = new Uint8Array(60).fill(3);
    for (const byte of encodeSetup(plainSetup('reply', data))) script.write(Uint8Array.of(byte));
    await withDeadline(connection.whenEstablished(), 'established');
    assert.deepEqual(connection.privateData, data);
  });

  it('a Reply that is none is answered by Terminate 2/0/4', async (world) => {
    const siege = await Siege.open(world);
    const listener = await ScriptedListener.open(world.test);
    const reply = encodeSetup(plainSetup('reply'));
    const tried = [
      encodeSetup(plainSetup('request')),
      Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
      ...Array.from({ length: 16 }, (_, at) => {
        const wrong = Buffer.from(reply);
        wrong[at] = (wrong[at] ?? 0) ^ 0x20;
        return wrong;
      }),
      ...[3, 9, 255].map((revision) => encodeSetup(replyOf({ revision }))),
      ...[0, 1, 2, 3].map((length) => claimed(plainSetup('reply'), length)),
      ...[513, 0xffff].map((length) => claimed(plainSetup('reply', new Uint8Array(600)), length)),
      Uint8Array.of(0),
    ];
    for (const bytes of tried) {
      const on = await dialled(siege, listener);
      await refusedReply(siege, on, bytes, { cause: '2/0/4', code: 'CONNECTION_LOST' });
    }
    const on = await dialled(siege, listener, { crc: 'required' });
    on.script.crc = true;
    const http = Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n');
    await refusedReply(siege, on, http, { cause: '2/0/4', code: 'CONNECTION_LOST' });
    world.test.diagnostic(`${tried.length} Replies`);
  });

  it('a Reply whose ORD is above what we serve is answered by Terminate 2/0/6', async (world) => {
    const siege = await Siege.open(world);
    const listener = await ScriptedListener.open(world.test);
    for (const [options, outboundReads] of [
      [{}, 33],
      [{}, 128],
      [{}, 0x3fff],
      [{ inboundReads: 4 }, 5],
      [{ inboundReads: 4 }, 32],
    ] as const) {
      for (const flags of [enhanced, enhanced | crc]) {
        const on = await dialled(siege, listener, options);
        on.script.crc = (flags & crc) !== 0;
        const reply = encodeSetup(replyOf({ flags, word: { ...plainWord, outboundReads } }));
        await refusedReply(siege, on, reply, { cause: '2/0/6', code: 'CONNECTION_LOST' });
      }
    }
  });

  it('a Reply whose ORD is what we serve, or less, is taken', async (world) => {
    const siege = await Siege.open(world);
    const listener = await ScriptedListener.open(world.test);
    for (const outboundReads of [0, 1, 31, 32]) {
      const { script, connection } = await dialled(siege, listener);
      script.write(encodeSetup(replyOf({ word: { ...plainWord, outboundReads } })));
      await withDeadline(connection.whenEstablished(), 'established');
      script.socket.destroy();
    }
  });

  it("a Reply with M, or with R, rejects; with R its data is the application's", async (world) => {
    const siege = await Siege.open(world);
    const listener = await ScriptedListener.open(world.test);
    const marked = encodeSetup(replyOf({ flags: enhanced | markers }));
    const on = await dialled(siege, listener);
    await refusedReply(siege, on, marked, { cause: null, code: 'REJECTED' });
    for (const length of [0, 1, 251, 508]) {
      const { script, connection } = await dialled(siege, listener);
      const data = new Uint8Array(length).fill(length);
      script.write(encodeSetup(replyOf({ flags: enhanced | rejected, privateData: data })));
      const error = await connection.whenEstablished().then(
        () => null,
        (cause: unknown) => cause,
      );
      assert.ok(isRpmaError(error) && error.code === 'ERR_RPMA_REJECTED');
      const types = [];
      for await (const event of connection.events) {
        types.push(event.type);
        assert.deepEqual(event.privateData ?? nothing, data, `${length} bytes`);
      }
      assert.deepEqual(types, ['rejected']);
    }
    // siw's answer to a malformed Request: R and S, and no word.
    const { script, connection } = await dialled(siege, listener);
    const refused = assert.rejects(connection.whenEstablished(), withCode('REJECTED'));
    script.write(claimed(replyOf({ flags: enhanced | rejected }), 0));
    await withDeadline(refused, 'the outcome');
  });

  it('a Reply that ends at any byte ends the attempt', async (world) => {
    const siege = await Siege.open(world);
    const listener = await ScriptedListener.open(world.test);
    const whole = encodeSetup(plainSetup('reply', new Uint8Array(8)));
    for (let length = 0; length < whole.length; length++) {
      const { script, connection } = await dialled(siege, listener);
      const code = length === 0 ? 'REJECTED' : 'CONNECTION_LOST';
      const ended = assert.rejects(connection.whenEstablished(), withCode(code));
      script.write(whole.subarray(0, length));
      script.socket.end();
      await withDeadline(ended, `the outcome of ${length} bytes`);
      await script.ended();
    }
    await siege.stillServes();
    world.test.diagnostic(`${whole.length} cuts`);
  });

  it('more Reads than the Reply serves never leave', async (world) => {
    const siege = await Siege.open(world);
    const listener = await ScriptedListener.open(world.test);
    for (const inboundReads of [1, 3]) {
      const { script, connection } = await dialled(siege, listener, { sendQueueSize: 16 });
      script.write(encodeSetup(replyOf({ word: { ...plainWord, inboundReads } })));
      await withDeadline(connection.whenEstablished(), 'established');
      const local = await siege.pair.targetPeer.allocate(4096, { usage: localUsage });
      const count = 8;
      for (let id = 0; id < count; id++) {
        connection.postRead({ local, remote: imaginedRemote, length: 8, id });
      }
      const waiting = [];
      for (let n = 0; n < inboundReads; n++) waiting.push(await script.readRequest());
      for (let n = 0; n < count; n++) {
        await siege.witness();
        assert.equal(script.pendingBytes, 0, `${inboundReads} at most are outstanding`);
        const oldest = waiting.shift();
        assert.ok(oldest !== undefined);
        script.answerRead(oldest, new Uint8Array(8));
        if (n + inboundReads < count) waiting.push(await script.readRequest());
      }
      assert.equal((await takeAll(connection.completionQueue, count)).length, count);
      script.socket.destroy();
    }
  });

  it('random and mutated Replies end in an outcome', async (world) => {
    const siege = await Siege.open(world);
    const listener = await ScriptedListener.open(world.test);
    const random = world.random(4502);
    const count = 300;
    let established = 0;
    for (let n = 0; n < count; n++) {
      const { script, connection } = await dialled(siege, listener, { connectTimeoutMs: 5000 });
      const data = random.bytes(random.pick([0, 16, 60, 508]));
      const reply = Buffer.from(encodeSetup(plainSetup('reply', data)));
      if (random.below(4) === 0) random.fill(reply);
      for (let changes = random.below(4); changes > 0; changes--) {
        reply[random.pick([16, 17, 18, 19, 20, 21, 22, 23, random.below(reply.length)])] =
          random.below(256);
      }
      script.write(reply);
      script.socket.end();
      const outcome = connection.whenEstablished().then(
        () => 'established',
        (error: unknown) => (isRpmaError(error) ? error.code : String(error)),
      );
      const word = await withDeadline(outcome, 'an outcome');
      assert.match(word, /^(established|ERR_RPMA_(CONNECTION_LOST|REJECTED|UNREACHABLE))$/);
      if (word === 'established') established++;
      await withDeadline(connection.whenClosed(), 'the end');
      siege.arena.check(`after Reply ${n}`);
    }
    await siege.stillServes();
    world.test.diagnostic(`${count} Replies, ${established} established`);
  });

  it('hostile set-ups leave nothing native behind', async () => {
    await nothingLeft(baseline);
  });
});
