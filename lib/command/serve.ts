// SPDX-License-Identifier: BSD-3-Clause
//
// `rpma serve`: lends one region to whoever connects, until it is told to stop. JavaScript only
// says who comes and goes; what others do to the region is done without it.

import {
  type ConnectionEvent,
  type Endpoint,
  type IncomingRequest,
  type MemoryRegion,
  Peer,
  PeerConfig,
  type PeerOptions,
  PmemFile,
} from '../index.js';
import { formatPlace, formatSize } from './arguments.js';
import { exampleBlock } from './blocks.js';
import { attempting, type Failure, failureOf, usageError } from './failure.js';
import type { CommandContext } from './output.js';
import { Stop } from './stop.js';
import { lentUsage, type LentUsage, usageWords } from './usage.js';

/** Options of `rpma serve`, checked. */
export interface ServeOptions {
  readonly memory?: number;
  readonly size?: number;
  readonly create?: true;
  readonly offset?: number;
  readonly allowVolatile?: true;
  readonly address: string;
  readonly port: number;
  readonly usage: readonly LentUsage[];
  readonly provider?: NonNullable<PeerOptions['provider']>;
}

function checkChoices(file: string | undefined, options: ServeOptions): void {
  const cure = "see 'rpma serve --help'";
  if (file === undefined && options.memory === undefined) {
    throw usageError('nothing to lend: neither a file nor --memory is given', cure);
  }
  if (options.memory !== undefined) {
    const { size, create, offset, allowVolatile } = options;
    if (file !== undefined) throw usageError('a file and --memory exclude each other', cure);
    const ofFiles = { '--size': size, '--create': create, '--offset': offset };
    const given = Object.entries({ ...ofFiles, '--allow-volatile': allowVolatile });
    const wrong = given.find(([, value]) => value !== undefined);
    if (wrong !== undefined) throw usageError(`${wrong[0]} is for files, not for --memory`, cure);
    if (options.usage.includes('flush-persistent')) {
      throw usageError('memory cannot be flushed to persistence', 'lend a file');
    }
  }
  if (options.create === true && options.size === undefined) {
    throw usageError('--create needs --size', 'say how large the new file shall be');
  }
}

async function mapFile(path: string, options: ServeOptions): Promise<PmemFile> {
  return attempting(`serve ${path}`, () =>
    PmemFile.map(path, {
      sizeBytes: options.size,
      create: options.create,
      offset: options.offset,
      allowVolatile: options.allowVolatile,
    }),
  );
}

/** Counts and tells who comes and goes. */
class Guests {
  readonly #context: CommandContext;
  #present = 0;
  #came = 0;
  #lost = 0;
  #refused = 0;

  constructor(context: CommandContext) {
    this.#context = context;
  }

  get counts(): { readonly came: number; readonly lost: number; readonly refused: number } {
    return { came: this.#came, lost: this.#lost, refused: this.#refused };
  }

  /** One client, from its request to its end. Never rejects: others go on. */
  async host(request: IncomingRequest, privateData: Uint8Array): Promise<void> {
    const place = request.remoteAddress;
    try {
      const connection = request.accept({ privateData });
      try {
        await connection.whenEstablished();
        const number = this.#arrive(place);
        const end = await connection.whenClosed();
        this.#leave(number, place, end);
      } finally {
        await connection.close();
      }
    } catch (error) {
      request.destroy(); // where it was not accepted
      this.#refused += 1;
      this.#tell({ event: 'refused', address: place, reason: textOf(failureOf(error)) });
    }
  }

  #arrive(address: string): number {
    this.#came += 1;
    this.#present += 1;
    const number = this.#came;
    this.#tell({ event: 'came', number, address });
    return number;
  }

  #leave(number: number, address: string, { type, error }: ConnectionEvent): void {
    this.#present -= 1;
    if (type === 'closed') {
      this.#tell({ event: 'left', number, address });
      return;
    }
    this.#lost += 1;
    const reason = error === undefined ? type : textOf(failureOf(error));
    this.#tell({ event: 'lost', number, address, reason });
  }

  #tell(event: GuestEvent): void {
    const { output, json } = this.#context;
    const present = this.#present;
    if (json) {
      output.json({ ...event, present });
      return;
    }
    const { number, address, reason } = event;
    const who = number === undefined ? 'a client' : `client ${number}`;
    const why = reason === undefined ? '' : `: ${reason}`;
    output.line(`${who} from ${address} ${event.event}${why} (${present} here)`);
  }
}

interface GuestEvent {
  readonly event: 'came' | 'left' | 'lost' | 'refused';
  readonly number?: number;
  readonly address: string;
  readonly reason?: string;
}

function textOf({ cause, code }: Failure): string {
  return code === undefined ? cause : `${cause} [${code}]`;
}

interface Lent {
  readonly region: MemoryRegion;
  readonly endpoint: Endpoint;
  readonly source: string;
  readonly durability: PmemFile['durability'] | 'none';
  readonly config: PeerConfig;
}

function announce({ output, json }: CommandContext, lent: Lent): void {
  const { region, endpoint, source, durability, config } = lent;
  const descriptor = Buffer.from(region.toDescriptor()).toString('hex');
  const { address, port } = endpoint;
  const provider = endpoint.peer.provider;
  const usage = usageWords(region.usage);
  if (json) {
    const { sizeBytes } = region;
    const { directWriteToPmem } = config;
    const place = { event: 'listening', address, port, provider };
    output.json({ ...place, source, sizeBytes, durability, usage, directWriteToPmem, descriptor });
    return;
  }
  output.line(`lending ${formatSize(region.sizeBytes)} of ${source} for ${usage.join(', ')}`);
  output.line(`durability: ${durabilityWords[durability]}`);
  output.line(`descriptor: ${descriptor}`);
  const place = output.colour('bold', formatPlace(address, port));
  output.line(`listening on ${place}, provider ${provider}`);
}

const durabilityWords: Readonly<Record<Lent['durability'], string>> = {
  pmem: 'pmem, what is flushed to persistence outlives a power loss',
  storage: 'storage, what is flushed to persistence outlives a power loss',
  memory: 'memory, the file does not outlive the machine (tmpfs)',
  none: 'none, memory does not outlive this process',
};

/** Lets in who comes, until told to stop; then everyone leaves. */
async function admit(lent: Lent, guests: Guests, stop: Stop): Promise<void> {
  const { endpoint, region, config } = lent;
  const privateData = exampleBlock(region.toDescriptor(), config);
  const close = (): void => void endpoint.close();
  stop.signal.addEventListener('abort', close);
  if (stop.isAsked) close();
  const hosted = new Set<Promise<void>>();
  for await (const request of endpoint) {
    const guest = guests.host(request, privateData).finally(() => hosted.delete(guest));
    hosted.add(guest);
  }
  await endpoint.peer.close();
  await Promise.all(hosted);
}

function summarise({ output, json }: CommandContext, guests: Guests, startedMs: number): void {
  const seconds = Math.round((performance.now() - startedMs) / 100) / 10;
  const { came, lost, refused } = guests.counts;
  if (json) output.json({ event: 'summary', clients: came, lost, refused, seconds });
  else {
    const clients = `${came} ${came === 1 ? 'client' : 'clients'}`;
    const failed = refused === 0 ? '' : `, ${refused} not established`;
    output.line(`served ${clients} in ${seconds.toFixed(1)} s, ${lost} lost${failed}`);
  }
}

export async function serve(
  path: string | undefined,
  options: ServeOptions,
  context: CommandContext,
): Promise<void> {
  await attempting('serve', async () => {
    checkChoices(path, options);
    using stop = new Stop(context.output.ended);
    await using file = path === undefined ? null : await mapFile(path, options);
    const usage = lentUsage(options.usage, file !== null);
    const durability: Lent['durability'] = file === null ? 'none' : file.durability;
    // Then the library persists what a C client wrote before it answers its flush, which is a read.
    const lasts = file !== null && durability !== 'memory';
    const config = new PeerConfig({ directWriteToPmem: lasts });
    await using peer = await Peer.open({
      localAddress: options.address,
      provider: options.provider,
      directWriteToPmem: lasts,
    });
    await using region =
      file === null
        ? await peer.allocate(options.memory ?? 0, { usage })
        : await peer.register(file, { usage });
    await using endpoint = await peer.listen(options.address, options.port, {
      connection: { closeTimeoutMs: 1000 },
    });
    const source = file === null ? 'memory' : file.path;
    const lent = { region, endpoint, source, durability, config };
    announce(context, lent);
    const startedMs = performance.now();
    const guests = new Guests(context);
    await admit(lent, guests, stop);
    summarise(context, guests, startedMs);
  });
}
