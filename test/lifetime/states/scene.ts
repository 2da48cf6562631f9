// SPDX-License-Identifier: BSD-3-Clause
//
// What a state of test/lifetime/states is made from: peers, connections and memory of the process
// or worker that is going to end with them, and its word to the test. Everything is kept, so that
// nothing is collected before the end.

import { join } from 'node:path';
import {
  type Connection,
  type ConnectionOptions,
  type Endpoint,
  type Memory,
  MemoryUsage,
  type MemoryRegion,
  Peer,
  PmemFile,
  RemoteRegion,
} from 'rpma';
import { descriptorBytes } from '../../support/scripted-peer.js';
import { fromHex, toHex } from '../../support/child.js';

export const sizeBytes: number = 1 << 20;
export const allUsage: number =
  MemoryUsage.ReadSource |
  MemoryUsage.ReadDestination |
  MemoryUsage.WriteSource |
  MemoryUsage.WriteDestination |
  MemoryUsage.FlushVisibility |
  MemoryUsage.Send |
  MemoryUsage.Receive;

/** Where the other side is, and what of its memory may be used. */
export interface Place {
  readonly port: number;
  /** In hexadecimal digits; empty: none. */
  readonly descriptor: string;
}

export interface Held extends Place {
  readonly kind: 'listening';
}

interface Holder {
  unref(): unknown;
}

export class Scene {
  readonly folder: string;
  readonly #partner: Place;
  readonly #tell: (message: Held) => void;
  readonly #kept: unknown[] = [];
  readonly #holders: Holder[] = [];

  constructor(folder: string, partner: Place, tell: (message: Held) => void) {
    this.folder = folder;
    this.#partner = partner;
    this.#tell = tell;
  }

  keep<T>(value: T): T {
    this.#kept.push(value);
    return value;
  }

  /** Kept, and let go of by a natural end. */
  hold<T extends Holder>(object: T): T {
    this.#holders.push(object);
    return this.keep(object);
  }

  /** From now on nothing of it keeps the event loop. */
  unref(): void {
    for (const holder of this.#holders) holder.unref();
  }

  /** Started and left alone; how it ends is not the state's business. */
  begin(promise: Promise<unknown>): void {
    void this.keep(promise.catch(() => undefined));
  }

  async peer(): Promise<Peer> {
    return this.keep(await Peer.open({ localAddress: '127.0.0.1' }));
  }

  /** A connection to the partner, established. */
  async connect(peer: Peer, options: ConnectionOptions = {}): Promise<Connection> {
    return this.hold(
      await peer.connect('127.0.0.1', this.#partner.port, {
        connection: { sendQueueSize: 64, receiveQueueSize: 16, closeTimeoutMs: 1000, ...options },
      }),
    );
  }

  /** A connection to the partner of which nothing has come yet, with so many receives. */
  async connecting(peer: Peer, receives: number = 0): Promise<Connection> {
    const request = await peer.createConnectionRequest('127.0.0.1', this.#partner.port);
    for (let i = 0; i < receives; i++) request.postReceive({ length: 0 });
    return this.hold(request.connect());
  }

  /** The partner's memory; of a scripted partner, memory that nobody has. */
  get remote(): RemoteRegion {
    const made = {
      base: 0x10000n,
      lengthBytes: BigInt(sizeBytes),
      stag: 0x100,
      usage: allUsage | MemoryUsage.FlushPersistent,
    };
    const { descriptor } = this.#partner;
    const bytes = descriptor === '' ? descriptorBytes(made) : fromHex(descriptor);
    return RemoteRegion.fromDescriptor(bytes);
  }

  async allocate(peer: Peer): Promise<MemoryRegion> {
    const region = this.keep(await peer.allocate(sizeBytes, { usage: allUsage }));
    this.keep(region.bytes);
    return region;
  }

  async register(peer: Peer, memory: Memory): Promise<MemoryRegion> {
    this.keep(memory);
    const isFile = memory instanceof PmemFile;
    const usage = isFile ? allUsage | MemoryUsage.FlushPersistent : allUsage;
    return this.keep(await peer.register(memory, { usage }));
  }

  async file(): Promise<PmemFile> {
    const path = join(this.folder, 'held');
    const file = this.keep(await PmemFile.map(path, { create: true, sizeBytes }));
    this.keep(file.bytes);
    return file;
  }

  /** Listens, and tells the partner where, and what memory it may use. */
  async listen(peer: Peer, region?: MemoryRegion): Promise<Endpoint> {
    const endpoint = this.hold(await peer.listen('127.0.0.1', 0));
    const descriptor = region === undefined ? '' : toHex(region.toDescriptor());
    this.#tell({ kind: 'listening', port: endpoint.port, descriptor });
    return endpoint;
  }

  /** The connection that the partner made, established. */
  async accept(endpoint: Endpoint): Promise<Connection> {
    const request = await endpoint.take();
    if (request === null) throw new Error('the endpoint was closed');
    return this.hold(await request.accept().whenEstablished());
  }
}
