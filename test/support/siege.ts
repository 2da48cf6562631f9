// SPDX-License-Identifier: BSD-3-Clause
//
// Hostile bytes and what must stay true under every one of them. A siege is one target: memory in
// an arena whose regions have neighbours, a well-behaved connection (the witness), and victims,
// connections whose other side is a script. After each attack the same is asked: no byte changed
// outside what a valid frame was granted; the victim ended with its Terminate, once, last, with the
// header that it blames, then FIN; every operation of the victim has one outcome; the witness was
// served meanwhile; and nothing native is left.

import './test-flavour.js';
import assert from 'node:assert/strict';
import {
  type Completion,
  type Connection,
  type ConnectionOptions,
  type IncomingRequest,
  type MemoryRegion,
  MemoryUsage,
  RemoteRegion,
} from 'rpma';
import { timed, until, withDeadline } from './deadline.js';
import {
  capabilities,
  encodeSetup,
  expectedWords,
  helloFrame,
  offerWord,
  opcodes,
  plainSetup,
  readRequestBody,
  type Segment,
  setupFlags,
  taggedFrame,
  terminateWords,
  untaggedFrame,
  type FrameOptions,
  type UntaggedFields,
} from './iwarp.js';
import { Ledger } from './ledger.js';
import { nativeTest } from './native.js';
import { type Descriptor, descriptorBytes, descriptorOf, ScriptedPeer } from './scripted-peer.js';
import { localUsage, type Pair, remoteUsage, takeAll, takeRest, type World } from './world.js';

const patternByte = 0xa5;
/** Memory that exists only in the script. */
const imagined: Descriptor = { base: 0x7000n, lengthBytes: 1n << 20n, stag: 0xabc1, usage: 0x39 };
export const imaginedRemote: RemoteRegion = RemoteRegion.fromDescriptor(descriptorBytes(imagined));

/** What the two sides agreed on, as far as it decides how frames are read. */
export interface Mode {
  readonly crc: boolean;
  readonly extended: boolean;
}

export const modes: readonly Mode[] = [
  { crc: false, extended: false },
  { crc: true, extended: false },
  { crc: false, extended: true },
  { crc: true, extended: true },
];

export function modeName({ crc, extended }: Mode): string {
  return `${extended ? 'extended' : 'plain'}, CRC ${crc ? 'on' : 'off'}`;
}

/** Frames as a connection of this mode carries them. */
export class Forge {
  readonly crc: boolean;
  constructor(crc: boolean) {
    this.crc = crc;
  }
  tagged(
    opcode: number,
    stag: number,
    at: bigint,
    payload: Uint8Array,
    options?: FrameOptions,
  ): Uint8Array {
    return taggedFrame(opcode, stag, at, payload, { crc: this.crc, ...options });
  }
  untagged(
    opcode: number,
    fields: UntaggedFields,
    payload: Uint8Array,
    options?: FrameOptions,
  ): Uint8Array {
    return untaggedFrame(opcode, fields, payload, { crc: this.crc, ...options });
  }
  hello(bits: number): Uint8Array {
    return helloFrame(bits, this.crc);
  }
  write(to: Descriptor, offset: number, payload: Uint8Array, options?: FrameOptions): Uint8Array {
    return this.tagged(opcodes.write, to.stag, to.base + BigInt(offset), payload, options);
  }
  send(
    payload: Uint8Array,
    fields: Partial<UntaggedFields> = {},
    options?: FrameOptions,
  ): Uint8Array {
    return this.untagged(opcodes.send, { queue: 0, sequence: 1, ...fields }, payload, options);
  }
  read(
    from: Descriptor,
    lengthBytes: number,
    fields: Partial<UntaggedFields & { sinkOffset: bigint; tail: number }> = {},
    options?: FrameOptions,
  ): Uint8Array {
    const body = readRequestBody({
      sinkStag: 0x51,
      sinkOffset: fields.sinkOffset ?? 0x100n,
      lengthBytes,
      sourceStag: from.stag,
      sourceOffset: from.base,
    });
    const whole = Buffer.concat([body, new Uint8Array(fields.tail ?? 0)]);
    const where = { queue: 1, sequence: 1, ...fields };
    return this.untagged(opcodes.readRequest, where, whole, options);
  }
}

/** Regions in one piece of memory, with bytes of nobody's between them. */
export class Arena {
  readonly bytes: Uint8Array<ArrayBuffer> = new Uint8Array(512 * 1024).fill(patternByte);
  readonly #expected: Uint8Array = this.bytes.slice();
  #next = 4096;

  /** A part that nothing else touches; its neighbours belong to nobody. */
  cut(lengthBytes: number): { readonly offset: number; readonly length: number } {
    const offset = this.#next;
    this.#next += lengthBytes + 4096;
    assert.ok(this.#next <= this.bytes.length, 'the arena is large enough');
    return { offset, length: lengthBytes };
  }

  /** A valid frame was granted this. */
  grant(at: number, bytes: Uint8Array): void {
    this.#expected.set(bytes, at);
  }

  /** These may hold anything by now. */
  forgive(...parts: readonly { readonly offset: number; readonly length: number }[]): void {
    for (const { offset, length } of parts) {
      this.#expected.set(this.bytes.subarray(offset, offset + length), offset);
    }
  }

  /** Compares all of it, then restores the pattern, so that every case finds the same. */
  check(what: string): void {
    if (Buffer.compare(this.bytes, this.#expected) !== 0) {
      const at = this.bytes.findIndex((byte, index) => byte !== this.#expected[index]);
      const wanted = this.#expected[at];
      assert.fail(`${what}: byte ${at} of the arena is ${this.bytes[at]}, not ${wanted}`);
    }
    this.bytes.fill(patternByte);
    this.#expected.fill(patternByte);
  }
}

export interface Held {
  readonly region: MemoryRegion;
  readonly descriptor: Descriptor;
  /** Its first byte in the arena. */
  readonly offset: number;
  readonly length: number;
}

export interface Victim {
  readonly mode: Mode;
  readonly script: ScriptedPeer;
  readonly connection: Connection;
  readonly forge: Forge;
  readonly ledger: Ledger;
  /** Frames that the victim sent before the attack: its own requests. */
  readonly requests: readonly Segment[];
  /** Ids in the order of their posts: receives, then what was posted to the send queue. */
  readonly ids: { readonly receives: readonly number[]; readonly posts: readonly number[] };
}

interface Stranger {
  readonly script: ScriptedPeer;
  readonly request: IncomingRequest;
}

export interface VictimOptions {
  readonly connection?: ConnectionOptions;
  /** Receives of so many bytes, in the arena's sink; default four of 64. */
  readonly receives?: readonly number[];
  /** Own operations outstanding at the attack; default two reads of 64 bytes. */
  readonly own?: (connection: Connection, sink: MemoryRegion, ledger: Ledger) => void;
  /** Capabilities that the script's hello names; default flush and atomic write. */
  readonly hello?: number;
  /** The victim's frames to expect for them; default two. */
  readonly ownFrames?: number;
}

/** What an attack must come to. */
export interface Verdict {
  readonly cause: string;
  /** The frame whose header the Terminate copies. */
  readonly fault: Uint8Array;
  /** Status of the completion that carries the failure of an own operation or receive, if any. */
  readonly statuses?: Readonly<Record<number, string>>;
}

/** Live native objects but for threads, which stay for the life of the process. */
export function alive(): string {
  return JSON.stringify({ ...nativeTest().counters(), threads: 0 });
}

export class Siege {
  readonly world: World;
  readonly pair: Pair;
  readonly arena: Arena;
  readonly lent: Held;
  readonly readOnly: Held;
  readonly writeOnly: Held;
  /** Bound to the witness's connection. */
  readonly bound: Held;
  /** What was the descriptor of a region that is closed. */
  readonly closed: Descriptor;
  /** The target's own memory for reads and receives; nobody was given its descriptor. */
  readonly sink: Held;
  readonly #witnessLocal: MemoryRegion;
  readonly #witnessRemote: RemoteRegion;
  #lastStranger: Promise<unknown> = Promise.resolve();
  tried = 0;
  slowestWitnessMs = 0;

  private constructor(
    world: World,
    pair: Pair,
    arena: Arena,
    held: Record<'lent' | 'readOnly' | 'writeOnly' | 'bound' | 'sink', Held>,
    closed: Descriptor,
    witness: { readonly local: MemoryRegion; readonly remote: RemoteRegion },
  ) {
    this.world = world;
    this.pair = pair;
    this.arena = arena;
    this.lent = held.lent;
    this.readOnly = held.readOnly;
    this.writeOnly = held.writeOnly;
    this.bound = held.bound;
    this.sink = held.sink;
    this.closed = closed;
    this.#witnessLocal = witness.local;
    this.#witnessRemote = witness.remote;
  }

  static async open(world: World): Promise<Siege> {
    const pair = await world.pair();
    const arena = new Arena();
    const hold = async (lengthBytes: number, usage: number, connection?: Connection) => {
      const { offset, length } = arena.cut(lengthBytes);
      const view = arena.bytes.subarray(offset, offset + length);
      const region = await pair.targetPeer.register(view, { usage, connection });
      return { region, descriptor: descriptorOf(region), offset, length };
    };
    const held = {
      readOnly: await hold(4096, MemoryUsage.ReadSource),
      lent: await hold(160 * 1024, remoteUsage),
      writeOnly: await hold(4096, MemoryUsage.WriteDestination),
      bound: await hold(4096, remoteUsage, pair.target),
      sink: await hold(160 * 1024, localUsage),
    };
    const gone = await hold(4096, remoteUsage);
    await gone.region.close();
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    return new Siege(world, pair, arena, held, gone.descriptor, { local, remote });
  }

  forgeOf(mode: Mode): Forge {
    return new Forge(mode.crc);
  }

  /** The witness writes and flushes; it must be served whatever the victims do. */
  async witness(): Promise<void> {
    const { initiator } = this.pair;
    const range = { local: this.#witnessLocal, remote: this.#witnessRemote, length: 64 };
    const { elapsedMs } = await timed(
      (async () => {
        await withDeadline(initiator.write(range), "the witness's write", 10_000);
        const flush = { remote: range.remote, length: 64, type: 'visibility' as const };
        await withDeadline(initiator.flush(flush), "the witness's flush", 10_000);
      })(),
    );
    this.slowestWitnessMs = Math.max(this.slowestWitnessMs, elapsedMs);
  }

  /** A request at the endpoint, and the script that made it: one at a time, or they would mix. */
  stranger(mode: Mode, connection?: ConnectionOptions): Promise<Stranger> {
    const next = this.#lastStranger.then(() => this.#meet(mode, connection));
    this.#lastStranger = next.catch(() => undefined);
    return next;
  }

  async #meet(mode: Mode, connection?: ConnectionOptions): Promise<Stranger> {
    const script = await ScriptedPeer.dial(this.world.test, this.pair.endpoint.port);
    const flags = setupFlags.enhanced | (mode.crc ? setupFlags.crc : 0);
    const plain = plainSetup('request');
    const word = mode.extended ? offerWord : plain.word;
    script.write(encodeSetup({ ...plain, flags, word }));
    const request = await this.pair.endpoint.take({ timeoutMs: 10_000, connection });
    assert.ok(request !== null, 'a request');
    return { script, request };
  }

  /** An established connection with receives posted and operations of its own outstanding. */
  async victim(mode: Mode, options: VictimOptions = {}): Promise<Victim> {
    const { script, request } = await this.stranger(mode, options.connection);
    const ledger = new Ledger();
    const receives: number[] = [];
    for (const [n, length] of (options.receives ?? [64, 64, 64, 64]).entries()) {
      const localOffset = 32_768 + n * 16_384;
      ledger.post('always', (id) => {
        request.postReceive({ local: this.sink.region, localOffset, length, id });
        receives.push(id);
      });
    }
    const connection = request.accept();
    await script.setup(10_000);
    script.crc = mode.crc;
    script.write(
      mode.extended
        ? helloFrame(options.hello ?? capabilities.flush | capabilities.atomicWrite, mode.crc)
        : new Forge(mode.crc).tagged(0, 1, 0n, nothing),
    );
    await withDeadline(connection.whenEstablished(), 'established');
    const posts = new Set(ledger.ids());
    const own = options.own ?? twoReads;
    own(connection, this.sink.region, ledger);
    const requests: Segment[] = [];
    for (let n = options.ownFrames ?? 2; n > 0; n--) requests.push(await script.frame());
    return {
      mode,
      script,
      connection,
      forge: new Forge(mode.crc),
      ledger,
      requests,
      ids: { receives, posts: ledger.ids().filter((id) => !posts.has(id)) },
    };
  }

  /** Bytes that a valid frame placed in a region. */
  granted(held: Held, offset: number, bytes: Uint8Array): void {
    this.arena.grant(held.offset + offset, bytes);
  }

  /** Sends the frames, has the witness served meanwhile, and asks everything. */
  async strike(victim: Victim, frames: readonly Uint8Array[], verdict: Verdict): Promise<void> {
    victim.script.write(...frames);
    const [answers] = await Promise.all([victim.script.rest(), this.witness()]);
    this.checkTerminate(victim, answers, verdict);
    await this.checkEnd(victim, verdict.statuses);
    this.arena.check(`after ${verdict.cause}`);
    this.tried++;
  }

  checkTerminate(victim: Victim, answers: readonly Segment[], verdict: Verdict): void {
    const last = answers.at(-1);
    assert.ok(last !== undefined, 'a Terminate');
    assert.deepEqual(terminateWords(last), expectedWords(verdict.cause, verdict.fault));
    assert.deepEqual([last.queue, last.sequence, last.messageOffset, last.last], [2, 1, 0, true]);
    const once = answers.filter((each) => each.opcode === opcodes.terminate).length;
    assert.equal(once, 1, 'one Terminate');
    assert.equal(victim.script.endedBy, 'fin', 'FIN behind it, not RST');
    if (victim.mode.crc) assert.ok(last.crcIsRight, 'the CRC of the Terminate');
  }

  /** The end of a connection, and an outcome for each of its operations. */
  async checkEnd(
    victim: Victim,
    statuses: Readonly<Record<number, string>> = {},
    type: 'lost' | 'closed' = 'lost',
  ): Promise<readonly Completion[]> {
    const { connection, ledger } = victim;
    const end = await withDeadline(connection.whenClosed(), 'the end of the victim');
    assert.equal(end.type, type);
    if (type === 'lost') assert.equal(end.error?.code, 'ERR_RPMA_CONNECTION_LOST');
    const rest = await takeRest(connection.completionQueue);
    ledger.add(...rest);
    ledger.audit();
    for (const [id, status] of Object.entries(statuses)) {
      assert.equal(rest.find((each) => each.id === Number(id))?.status, status, `operation ${id}`);
    }
    victim.script.socket.destroy();
    assert.equal(this.sink.region.inFlight, 0, 'nothing of the victim uses memory');
    return rest;
  }

  /** Every region of the arena still serves a new connection. */
  async stillServes(): Promise<void> {
    const victim = await this.victim(modes[0] ?? assert.fail(), { ownFrames: 0, own: () => {} });
    victim.script.rdmaWrite(this.lent.descriptor, 0, Uint8Array.of(1, 2, 3));
    const back = await victim.script.read(this.lent.descriptor, 0, 4);
    assert.deepEqual([...back], [1, 2, 3, patternByte]);
    this.granted(this.lent, 0, Uint8Array.of(1, 2, 3));
    victim.script.socket.end();
    await this.checkEnd(victim, {}, 'closed');
    this.arena.check('after an honest connection');
  }
}

export const nothing: Uint8Array = new Uint8Array(0);

function twoReads(connection: Connection, sink: MemoryRegion, ledger: Ledger): void {
  for (let n = 0; n < 2; n++) {
    const range = { local: sink, localOffset: n * 64, remote: imaginedRemote, length: 64 };
    ledger.post('always', (id) => connection.postRead({ ...range, id }));
  }
}

/** One after another, the next `count` completions of a victim that lives. */
export async function outcomes(victim: Victim, count: number): Promise<readonly Completion[]> {
  const done = await takeAll(victim.connection.completionQueue, count);
  victim.ledger.add(...done);
  return done;
}

/** After the last test of a file: everything native is closed. */
export async function nothingLeft(before: string): Promise<void> {
  await until(() => alive() === before, `nothing left behind: ${before}`, 10_000).catch(
    (late: unknown) => {
      throw new Error(`${String(late)}, but ${alive()}`);
    },
  );
}
