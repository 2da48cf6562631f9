// SPDX-License-Identifier: BSD-3-Clause
//
// What one test makes and needs: peers, connected pairs, registered memory and mapped files, all
// taken down when the test ends, whatever its outcome. Both ends of a pair live in this process,
// each with a peer of its own, so a test sees the target's memory directly.

import { join } from 'node:path';
import type { TestContext } from 'node:test';
import {
  type Completion,
  type CompletionQueue,
  type Connection,
  type ConnectionOptions,
  type Endpoint,
  type IncomingRequest,
  isRpmaError,
  MemoryUsage,
  type MemoryRegion,
  Peer,
  type PeerOptions,
  PmemFile,
  type PmemMapOptions,
  type ProviderName,
  RemoteRegion,
} from 'rpma';
import { withDeadline } from './deadline.js';
import { diskFolder, folderOn, removeFolder, tmpfsMount } from './folders.js';
import { chosenSeed, SeededRandom } from './random.js';

export const localUsage: number =
  MemoryUsage.ReadDestination | MemoryUsage.WriteSource | MemoryUsage.Send | MemoryUsage.Receive;
export const remoteUsage: number =
  MemoryUsage.ReadSource | MemoryUsage.WriteDestination | MemoryUsage.FlushVisibility;
export const durableUsage: number = remoteUsage | MemoryUsage.FlushPersistent;

export interface PairOptions {
  readonly address?: string;
  readonly initiator?: ConnectionOptions;
  readonly target?: ConnectionOptions;
  readonly initiatorPeer?: Peer;
  readonly targetPeer?: Peer;
  readonly requestData?: Uint8Array;
  readonly replyData?: Uint8Array;
  /** Runs on the incoming request before it is accepted. */
  readonly beforeAccept?: (request: IncomingRequest) => void;
}

export interface Pair {
  readonly initiatorPeer: Peer;
  readonly targetPeer: Peer;
  readonly endpoint: Endpoint;
  readonly initiator: Connection;
  readonly target: Connection;
}

export interface Lent {
  readonly region: MemoryRegion;
  readonly remote: RemoteRegion;
}

export class World {
  readonly provider: ProviderName;
  readonly test: TestContext;
  readonly #peers: Peer[] = [];
  readonly #files: PmemFile[] = [];
  readonly #folders: string[] = [];
  readonly #endings: (() => void | Promise<void>)[] = [];

  constructor(provider: ProviderName, test: TestContext) {
    this.provider = provider;
    this.test = test;
  }

  /** Runs before the peers are taken down. */
  after(ending: () => void | Promise<void>): void {
    this.#endings.push(ending);
  }

  random(fallbackSeed: number): SeededRandom {
    const random = new SeededRandom(chosenSeed(fallbackSeed));
    this.test.diagnostic(`seed ${random.seed} (RPMA_TEST_SEED repeats it)`);
    return random;
  }

  async peer(options: PeerOptions = {}): Promise<Peer> {
    const peer = await Peer.open({
      localAddress: '127.0.0.1',
      ...options,
      provider: options.provider ?? this.provider,
    });
    this.#peers.push(peer);
    return peer;
  }

  async pair(options: PairOptions = {}): Promise<Pair> {
    const address = options.address ?? '127.0.0.1';
    const initiatorPeer = options.initiatorPeer ?? (await this.peer({ localAddress: address }));
    const targetPeer = options.targetPeer ?? (await this.peer({ localAddress: address }));
    const endpoint = await targetPeer.listen(address, 0, { connection: options.target });
    const [initiator, target] = await withDeadline(
      Promise.all([
        initiatorPeer.connect(address, endpoint.port, {
          connection: options.initiator,
          privateData: options.requestData,
        }),
        this.#accept(endpoint, options),
      ]),
      'a connected pair',
    );
    return { initiatorPeer, targetPeer, endpoint, initiator, target };
  }

  /** Another connection over the peers and the endpoint of a pair. */
  async again(pair: Pair, options: PairOptions = {}): Promise<Pair> {
    const [initiator, target] = await withDeadline(
      Promise.all([
        pair.initiatorPeer.connect(pair.endpoint.address, pair.endpoint.port, {
          connection: options.initiator,
          privateData: options.requestData,
        }),
        this.#accept(pair.endpoint, options),
      ]),
      'another connected pair',
    );
    return { ...pair, initiator, target };
  }

  async #accept(endpoint: Endpoint, options: PairOptions): Promise<Connection> {
    const request = await endpoint.take(
      options.target === undefined ? {} : { connection: options.target },
    );
    if (request === null) throw new Error('the endpoint gave no request');
    options.beforeAccept?.(request);
    return request.accept({ privateData: options.replyData }).whenEstablished();
  }

  /** Memory of the initiator for every local purpose. */
  local(pair: Pair, sizeBytes: number = 4096): Promise<MemoryRegion> {
    return pair.initiatorPeer.allocate(sizeBytes, { usage: localUsage });
  }

  /** Memory of the target and the initiator's view of its descriptor. */
  async lend(pair: Pair, sizeBytes: number = 4096, usage: number = remoteUsage): Promise<Lent> {
    const region = await pair.targetPeer.allocate(sizeBytes, { usage });
    return { region, remote: RemoteRegion.fromDescriptor(region.toDescriptor()) };
  }

  async lendFile(pair: Pair, file: PmemFile, usage: number = durableUsage): Promise<Lent> {
    const region = await pair.targetPeer.register(file, { usage });
    return { region, remote: RemoteRegion.fromDescriptor(region.toDescriptor()) };
  }

  async folder(): Promise<string> {
    const folder = await diskFolder();
    this.#folders.push(folder);
    return folder;
  }

  /** A fresh folder on tmpfs; skips the test where there is none. */
  async volatileFolder(): Promise<string | null> {
    const mount = tmpfsMount();
    if (mount === null) {
      this.test.skip('no tmpfs is mounted');
      return null;
    }
    const folder = await folderOn(mount);
    this.#folders.push(folder);
    return folder;
  }

  /** A fresh file on disk, mapped. */
  async file(sizeBytes: number = 65_536, options: PmemMapOptions = {}): Promise<PmemFile> {
    const path = join(await this.folder(), 'memory.pmem');
    return this.keep(await PmemFile.map(path, { create: true, sizeBytes, ...options }));
  }

  /** Unmaps the file at the end of the test. */
  keep(file: PmemFile): PmemFile {
    this.#files.push(file);
    return file;
  }

  async end(): Promise<void> {
    for (const ending of this.#endings.reverse()) await ending();
    for (const peer of this.#peers.reverse()) peer.destroy();
    for (const peer of this.#peers) await withDeadline(peer.close(), 'a peer closes');
    for (const file of this.#files) await withDeadline(file.unmap(), 'a file is unmapped');
    for (const folder of this.#folders) await removeFolder(folder);
  }
}

/** Posts; false, and nothing accepted, when the connection has ended meanwhile. */
export function posted(post: () => void): boolean {
  try {
    post();
    return true;
  } catch (error) {
    if (isRpmaError(error) && error.code === 'ERR_RPMA_CLOSED') return false;
    throw error;
  }
}

/** The next `count` completions. */
export async function takeAll(
  queue: CompletionQueue,
  count: number,
  deadlineMs: number = 10_000,
): Promise<Completion[]> {
  const taken: Completion[] = [];
  while (taken.length < count) {
    const completion = await queue.take({ timeoutMs: deadlineMs });
    if (completion === null) {
      throw new Error(`${taken.length} of ${count} completions, then none in ${deadlineMs} ms`);
    }
    taken.push(completion);
  }
  return taken;
}

/** The next completion, which must say success. */
export async function takeOk(
  queue: CompletionQueue,
  deadlineMs: number = 10_000,
): Promise<Completion> {
  const [completion] = await takeAll(queue, 1, deadlineMs);
  if (completion === undefined) throw new Error('no completion');
  if (!completion.ok) {
    const { operation, id, status, providerError } = completion;
    throw new Error(`${operation} ${id} completed as ${status} (errno ${providerError})`);
  }
  return completion;
}

/** Every completion until the queue's connections have ended and it is empty. */
export async function takeRest(
  queue: CompletionQueue,
  deadlineMs: number = 10_000,
): Promise<Completion[]> {
  const taken: Completion[] = [];
  const iterate = async (): Promise<void> => {
    for await (const completion of queue) taken.push(completion);
  };
  await withDeadline(iterate(), 'the queue ends', deadlineMs);
  return taken;
}
