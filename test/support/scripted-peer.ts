// SPDX-License-Identifier: BSD-3-Clause
//
// A scripted iWARP peer over a bare TCP socket, in either role. The test says what is sent and
// looks at what comes, frame by frame; nothing is answered by itself.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { type MemoryRegion } from 'rpma';
import { withDeadline } from './deadline.js';
import {
  decodeFrame,
  decodeReadRequest,
  decodeSetup,
  encodeSetup,
  frameBytes,
  opcodes,
  plainSetup,
  type ReadRequest,
  readRequestBody,
  type Segment,
  setupBytes,
  type SetupFrame,
  taggedFrame,
  terminateCause,
  untaggedFrame,
} from './iwarp.js';

/** What a region's descriptor says, as a plain peer uses it. */
export interface Descriptor {
  readonly base: bigint;
  readonly lengthBytes: bigint;
  readonly stag: number;
  readonly usage: number;
}

export function descriptorOf(region: MemoryRegion): Descriptor {
  const bytes = Buffer.from(region.toDescriptor());
  return {
    base: bytes.readBigUInt64LE(0),
    lengthBytes: bytes.readBigUInt64LE(8),
    stag: bytes.readUInt32LE(16),
    usage: bytes.readUInt8(20),
  };
}

/** Descriptor bytes of memory that only the script knows. */
export function descriptorBytes(descriptor: Descriptor): Uint8Array {
  const bytes = Buffer.alloc(21);
  bytes.writeBigUInt64LE(descriptor.base, 0);
  bytes.writeBigUInt64LE(descriptor.lengthBytes, 8);
  bytes.writeUInt32LE(descriptor.stag, 16);
  bytes.writeUInt8(descriptor.usage, 20);
  return bytes;
}

export class ScriptedPeer {
  readonly socket: Socket;
  crc = false;
  #buffer: Buffer = Buffer.alloc(0);
  #wake: (() => void) | null = null;
  #isEnded = false;
  #endedBy: 'fin' | 'reset' | null = null;
  #sendSequence = 0;
  #requestSequence = 0;

  constructor(socket: Socket, test: TestContext) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (bytes: Buffer) => {
      this.#buffer = Buffer.concat([this.#buffer, bytes]);
      this.#notice();
    });
    socket.on('end', () => this.#end('fin'));
    socket.on('error', () => this.#end('reset'));
    socket.on('close', () => this.#end(null));
    test.after(() => void socket.destroy());
  }

  #end(by: 'fin' | 'reset' | null): void {
    this.#isEnded = true;
    this.#endedBy ??= by;
    this.#notice();
  }

  #notice(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }

  /** Connects to a listening endpoint; nothing is sent. */
  static async dial(test: TestContext, port: number): Promise<ScriptedPeer> {
    const socket = connect(port, '127.0.0.1');
    const peer = new ScriptedPeer(socket, test);
    await withDeadline(once(socket, 'connect'), 'a TCP connection');
    return peer;
  }

  write(...frames: Uint8Array[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** Bytes that came and were not taken yet. */
  get pendingBytes(): number {
    return this.#buffer.length;
  }

  /** What came and was not taken yet, whatever it is. */
  takePending(): Uint8Array {
    const taken = Uint8Array.from(this.#buffer);
    this.#buffer = Buffer.alloc(0);
    return taken;
  }

  /** What the first read of the socket brought; nothing is taken. */
  async firstChunk(deadlineMs: number = 5000): Promise<Uint8Array> {
    while (this.#buffer.length === 0) await this.#more('a first byte', deadlineMs);
    return Uint8Array.from(this.#buffer);
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** How the other side ended the stream; null while it has not, or when this side did. */
  get endedBy(): 'fin' | 'reset' | null {
    return this.#endedBy;
  }

  async #more(what: string, deadlineMs: number): Promise<void> {
    if (this.#isEnded) throw new Error(`the stream ended before ${what}`);
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    await withDeadline(woken, what, deadlineMs);
  }

  async #take(count: number, what: string, deadlineMs: number): Promise<Uint8Array> {
    while (this.#buffer.length < count) await this.#more(what, deadlineMs);
    const taken = this.#buffer.subarray(0, count);
    this.#buffer = this.#buffer.subarray(count);
    return taken;
  }

  /** The next set-up frame, whole. */
  async setup(deadlineMs: number = 5000): Promise<SetupFrame> {
    while (this.#buffer.length < 20) await this.#more('a set-up frame', deadlineMs);
    return decodeSetup(await this.#take(setupBytes(this.#buffer), 'a set-up frame', deadlineMs));
  }

  /** The next frame of the stream. */
  async frame(deadlineMs: number = 5000): Promise<Segment> {
    while (this.#buffer.length < 2) await this.#more('a frame', deadlineMs);
    const bytes = frameBytes(this.#buffer.readUInt16BE(0));
    const segment = decodeFrame(await this.#take(bytes, 'a frame', deadlineMs));
    if (this.crc) assert.ok(segment.crcIsRight, 'CRC of a frame');
    return segment;
  }

  /** Resolves when the other side has ended the stream; frames before the end stay readable. */
  async ended(deadlineMs: number = 5000): Promise<void> {
    while (!this.#isEnded) await this.#more('the end of the stream', deadlineMs);
  }

  /** Every frame until the other side ends the stream, which must end behind a whole one. */
  async rest(deadlineMs: number = 10_000): Promise<Segment[]> {
    await this.ended(deadlineMs);
    const frames: Segment[] = [];
    while (this.#buffer.length > 0) frames.push(await this.frame());
    return frames;
  }

  async readRequest(): Promise<ReadRequest> {
    return decodeReadRequest(await this.frame());
  }

  answerRead(request: ReadRequest, payload: Uint8Array): void {
    assert.equal(payload.length, request.lengthBytes);
    const { sinkStag, sinkOffset } = request;
    const options = { crc: this.crc };
    this.write(taggedFrame(opcodes.readResponse, sinkStag, sinkOffset, payload, options));
  }

  rdmaWrite(to: Descriptor, offset: number, payload: Uint8Array): void {
    const at = to.base + BigInt(offset);
    this.write(taggedFrame(opcodes.write, to.stag, at, payload, { crc: this.crc }));
  }

  send(payload: Uint8Array): void {
    const fields = { queue: 0, sequence: ++this.#sendSequence };
    this.write(untaggedFrame(opcodes.send, fields, payload, { crc: this.crc }));
  }

  requestRead(from: Descriptor, offset: number, lengthBytes: number): ReadRequest {
    const request: ReadRequest = {
      sinkStag: 0x51000000 + this.#requestSequence,
      sinkOffset: 0x1000n,
      lengthBytes,
      sourceStag: from.stag,
      sourceOffset: from.base + BigInt(offset),
    };
    const fields = { queue: 1, sequence: ++this.#requestSequence };
    const body = readRequestBody(request);
    this.write(untaggedFrame(opcodes.readRequest, fields, body, { crc: this.crc }));
    return request;
  }

  /** Asks for a read and gives the bytes of its answer. */
  async read(from: Descriptor, offset: number, lengthBytes: number): Promise<Uint8Array> {
    const request = this.requestRead(from, offset, lengthBytes);
    const parts: Uint8Array[] = [];
    for (;;) {
      const segment = await this.frame();
      if (segment.opcode === opcodes.terminate) {
        throw new Error(`Terminate ${terminateCause(segment)}`);
      }
      assert.equal(segment.opcode, opcodes.readResponse);
      assert.equal(segment.stag, request.sinkStag);
      parts.push(segment.payload);
      if (segment.last) return Uint8Array.from(Buffer.concat(parts));
    }
  }

  /** The next frame that is a Terminate, as 'layer/type/code'. */
  async terminate(): Promise<string> {
    for (;;) {
      const segment = await this.frame();
      if (segment.opcode === opcodes.terminate) return terminateCause(segment);
    }
  }

  /** Initiator: the plain Request, then the Reply to it. */
  async request(frame: SetupFrame = plainSetup('request')): Promise<SetupFrame> {
    this.write(encodeSetup(frame));
    return this.setup();
  }
}

/** A listening socket for the library to connect to. */
export class ScriptedListener {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets: Socket[] = [];

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
    server.on('connection', (socket) => this.#sockets.push(socket));
  }

  static async open(test: TestContext): Promise<ScriptedListener> {
    const server = createServer({ allowHalfOpen: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    assert.ok(address !== null && typeof address === 'object');
    test.after(() => void server.close());
    return new ScriptedListener(server, address.port);
  }

  async accept(test: TestContext): Promise<ScriptedPeer> {
    if (this.#sockets.length === 0) {
      await withDeadline(once(this.#server, 'connection'), 'a TCP connection');
    }
    const socket = this.#sockets.shift();
    assert.ok(socket !== undefined);
    return new ScriptedPeer(socket, test);
  }
}
