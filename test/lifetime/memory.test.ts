// SPDX-License-Identifier: BSD-3-Clause
// flavour: test
//
// Memory with work in flight: what others write to and what our own operations read from is
// collected, closed, unmapped, detached, transferred and resized, as far as that is allowed.
// Nothing crashes, and no byte lands in memory that was given back.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, describe, it, type TestContext } from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import {
  type Connection,
  type Memory,
  MemoryUsage,
  type MemoryRegion,
  Peer,
  PmemFile,
  RemoteRegion,
} from 'rpma';
import { turn, until, withDeadline } from '../support/deadline.js';
import { diskFolder, removeFolder } from '../support/folders.js';
import { nativeTest } from '../support/native.js';
import { openPartner, type Partner } from './states/partners.js';
import { allUsage, Scene } from './states/scene.js';

const sizeBytes = 1 << 18;
const guard = 0xc3;

/** Memory of each kind, and how much of what may be done to a buffer a kind allows. */
const kinds = ['ArrayBuffer', 'view', 'Buffer', 'SharedArrayBuffer', 'allocated', 'file'] as const;
type Kind = (typeof kinds)[number];

function isOurs(kind: Kind): boolean {
  return kind === 'allocated' || kind === 'file';
}

function userMemory(kind: Kind): Memory {
  if (kind === 'ArrayBuffer') return new ArrayBuffer(sizeBytes);
  if (kind === 'view') return new Uint8Array(new ArrayBuffer(sizeBytes + 128), 64, sizeBytes);
  if (kind === 'SharedArrayBuffer') return new SharedArrayBuffer(sizeBytes);
  return Buffer.alloc(sizeBytes);
}

interface Owned {
  readonly peer: Peer;
  readonly region: MemoryRegion;
  readonly file: PmemFile | null;
}

async function own(test: TestContext, kind: Kind): Promise<Owned> {
  const peer = await Peer.open({ localAddress: '127.0.0.1' });
  test.after(() => peer.close());
  if (kind === 'allocated') {
    return { peer, region: await peer.allocate(sizeBytes, { usage: allUsage }), file: null };
  }
  if (kind !== 'file') {
    const region = await peer.register(userMemory(kind), { usage: allUsage });
    return { peer, region, file: null };
  }
  const folder = await diskFolder();
  test.after(() => removeFolder(folder));
  const file = await PmemFile.map(join(folder, 'memory'), { create: true, sizeBytes });
  test.after(async () => {
    await peer.close();
    await file.unmap();
  });
  return { peer, region: await peer.register(file, { usage: allUsage }), file };
}

/** Writers that never rest, until their connection ends. */
interface Writers {
  readonly connection: Connection;
  /** Lets every later write carry this byte, and resolves when one has arrived everywhere. */
  readonly write: (fill: number) => Promise<void>;
  readonly ended: Promise<unknown>;
}

async function startWriters(test: TestContext, { peer, region }: Owned): Promise<Writers> {
  const writer = await Peer.open({ localAddress: '127.0.0.1' });
  test.after(() => writer.close());
  const endpoint = await peer.listen('127.0.0.1', 0);
  const accepted = endpoint.take().then((request) => request?.accept().whenEstablished());
  // Without CRC bytes are placed directly, by the socket call itself.
  const options = { connection: { crc: false } };
  const connection = await writer.connect('127.0.0.1', endpoint.port, options);
  await accepted;
  const local = await writer.allocate(sizeBytes, { usage: MemoryUsage.WriteSource });
  const remote = RemoteRegion.fromDescriptor(region.toDescriptor());
  const range = { local, remote, length: sizeBytes };
  const pour = async (): Promise<void> => {
    try {
      for (;;) await connection.write(range);
    } catch {
      // The region or the connection ended.
    }
  };
  const write = async (fill: number): Promise<void> => {
    local.bytes.fill(fill);
    await withDeadline(connection.write({ ...range, until: 'delivered' }), 'a write arrives');
  };
  await write(1);
  const ended = Promise.all(Array.from({ length: 4 }, pour));
  return { connection, write, ended };
}

type Attempt = (buffer: ArrayBuffer) => unknown;

function method(name: string, ...args: readonly unknown[]): Attempt {
  return (buffer) => {
    const own = Reflect.get(buffer, name) as
      ((...given: readonly unknown[]) => unknown) | undefined;
    if (own === undefined) throw new TypeError(`this Node has no ${name}()`);
    return own.apply(buffer, [...args]);
  };
}

const attempts: Readonly<Record<string, Attempt>> = {
  'structuredClone with transfer': (buffer) => structuredClone(buffer, { transfer: [buffer] }),
  'postMessage with transfer': (buffer) => {
    const { port1, port2 } = new MessageChannel();
    try {
      port1.postMessage(buffer, [buffer]);
    } finally {
      port1.close();
      port2.close();
    }
  },
  'transfer()': method('transfer'),
  'transfer() to another size': method('transfer', sizeBytes * 2),
  'transferToFixedLength()': method('transferToFixedLength'),
  'resize()': method('resize', 16),
};

/** What the program has of a region's memory. */
function bufferOf({ region }: Owned): ArrayBuffer {
  return region.bytes.buffer as ArrayBuffer;
}

function isFilled(bytes: Uint8Array, fill: number): boolean {
  return bytes.length > 0 && bytes.every((byte) => byte === fill);
}

async function collectSome(): Promise<void> {
  for (let round = 0; round < 3; round++) {
    assert.ok(globalThis.gc, 'the tests run with --expose-gc');
    globalThis.gc();
    await turn();
    new Uint8Array(sizeBytes).fill(0xee); // lands in what was freed by mistake
  }
}

async function attemptWhileWritten(test: TestContext, kind: Kind, attempt: Attempt) {
  const owned = await own(test, kind);
  const writers = await startWriters(test, owned);
  const buffer = bufferOf(owned);
  const { byteLength } = buffer;
  let moved: unknown = null;
  try {
    moved = attempt(buffer);
  } catch (error) {
    assert.ok(error instanceof TypeError || (error as Error).name === 'DataCloneError');
  }
  await collectSome();
  // Node 20 copies what is marked instead of refusing: the buffer stays all the same.
  if (!isOurs(kind)) assert.equal(buffer.byteLength, byteLength, 'registered memory was moved');
  const wasMoved = buffer.byteLength === 0;
  await writers.write(0x42);
  const { region } = owned;
  // A window that was moved away belongs to whoever moved it; a new one is made over the memory.
  const seen = wasMoved ? region.view(0, sizeBytes) : region.bytes;
  await until(() => isFilled(seen, 0x42), 'the bytes are there');
  await region.close();
  if (!wasMoved || !(moved instanceof ArrayBuffer)) return;
  // The region's end detaches its views, and where it cannot, nothing is left below them.
  const orphan = new Uint8Array(moved);
  orphan.fill(guard);
  await writers.ended;
  assert.ok(isFilled(orphan, guard), 'memory that was given back was written');
}

/** Operations of ours that take from the region and go nowhere: the other side reads nothing. */
async function startReaders(
  test: TestContext,
  { peer, region }: Owned,
): Promise<[Partner, Connection]> {
  const partner = await openPartner(test, 'deaf');
  test.after(() => partner.close());
  const scene = new Scene('', partner, () => undefined);
  const connection = await scene.connect(peer);
  const range = { local: region, remote: scene.remote, length: sizeBytes };
  while (connection.sendQueueFree > 0) connection.postWrite(range);
  await until(() => region.inFlight > 0, 'operations are in flight');
  return [partner, connection];
}

describe('memory with work in flight', () => {
  before(async () => (await Peer.open({ localAddress: '127.0.0.1' })).close());

  for (const kind of kinds) {
    for (const [name, attempt] of Object.entries(attempts)) {
      it(`survives ${name} while it is written to (${kind})`, async (test) => {
        await attemptWhileWritten(test, kind, attempt);
      });

      it(`survives ${name} while our writes read from it (${kind})`, async (test) => {
        const owned = await own(test, kind);
        const [, connection] = await startReaders(test, owned);
        const buffer = bufferOf(owned);
        const { byteLength } = buffer;
        try {
          attempt(buffer);
        } catch (error) {
          assert.ok(error instanceof TypeError || (error as Error).name === 'DataCloneError');
        }
        if (!isOurs(kind)) assert.equal(buffer.byteLength, byteLength);
        await collectSome();
        connection.destroy();
        await withDeadline(owned.region.close(), 'the region closes');
        assert.equal(owned.region.inFlight, 0);
      });
    }

    it(`is left alone once closed, however much is written to it (${kind})`, async (test) => {
      const owned = await own(test, kind);
      const { region } = owned;
      const writers = await startWriters(test, owned);
      const { bytes } = region;
      const other = region.view(0, 64);
      await withDeadline(region.close(), 'the region closes');
      // The program's memory is its own again; views of the library's are detached.
      if (!isOurs(kind)) bytes.fill(guard);
      await withDeadline(writers.ended, 'the writers are told');
      if (owned.file !== null) await owned.file.unmap();
      if (isOurs(kind)) assert.deepEqual([bytes.length, other.length], [0, 0]);
      else assert.ok(isFilled(bytes, guard), 'memory that was given back was written');
    });

    it(`is closed only after our own operations on it (${kind})`, async (test) => {
      const owned = await own(test, kind);
      const { region } = owned;
      const [, connection] = await startReaders(test, owned);
      let isClosed = false;
      const closed = region.close().then(() => {
        isClosed = true;
      });
      for (let turns = 0; turns < 20; turns++) await turn();
      assert.equal(isClosed, false, 'closed while operations read from it');
      connection.destroy();
      await withDeadline(closed, 'the region closes');
    });
  }

  it('stays mapped while a region is open on it, whatever is under way', async (test) => {
    const owned = await own(test, 'file');
    const { file, region } = owned;
    assert.ok(file !== null);
    const writers = await startWriters(test, owned);
    await assert.rejects(file.unmap(), { code: 'ERR_RPMA_BUSY' });
    await writers.write(0x42);
    await until(() => isFilled(file.bytes, 0x42), 'the file is written to as before');
    const { bytes } = file;
    await region.close();
    await file.unmap();
    await withDeadline(writers.ended, 'the writers are told');
    assert.equal(bytes.length, 0);
  });

  it('is given back when dropped and closed, however often', async (test) => {
    await collectSome();
    const { mappings, mapped_ranges } = nativeTest().counters();
    for (const kind of kinds) {
      const owned = await own(test, kind);
      const { connection } = await startWriters(test, owned);
      await connection.peer.close();
      await owned.peer.close();
      await owned.file?.unmap();
    }
    const left = (): string => {
      const now = nativeTest().counters();
      return JSON.stringify([now['mappings'], now['mapped_ranges']]);
    };
    const before = JSON.stringify([mappings, mapped_ranges]);
    for (let round = 0; round < 20 && left() !== before; round++) await collectSome();
    assert.equal(left(), before);
  });
});
