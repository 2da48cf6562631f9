// SPDX-License-Identifier: BSD-3-Clause
//
// States of regions and mapped files.

import { turn } from '../../support/deadline.js';
import { nativeTest } from '../../support/native.js';
import type { Memory, MemoryRegion, Peer } from 'rpma';
import { type Scene, sizeBytes } from './scene.js';
import type { State } from './states.js';

const slowMs = 300;

/** From now on the system takes its time to write back. */
function slowDisk(): void {
  nativeTest().faultSet('memory.msync', 1, 1_000_000, 0, slowMs);
}

const untouched = 0xa5; // the partner's memory is zero

async function writtenTo(scene: Scene, region: MemoryRegion, bytes: Uint8Array): Promise<void> {
  bytes.fill(untouched);
  await scene.accept(await scene.listen(region.peer, region));
  while (bytes[0] === untouched) await turn();
}

async function opened(scene: Scene, make: (peer: Peer) => Memory): Promise<MemoryRegion> {
  const peer = await scene.peer();
  return scene.register(peer, make(peer));
}

/** Reads towards a partner that answers none. */
async function readInto(scene: Scene, region: MemoryRegion): Promise<void> {
  const connection = await scene.connect(region.peer);
  for (let i = 0; i < 8; i++) {
    connection.postRead({ local: region, remote: scene.remote, length: 4096 });
  }
}

const persistUnderWay = async (scene: Scene): Promise<void> => {
  const file = await scene.file();
  slowDisk();
  file.bytes.fill(3);
  scene.begin(file.persist());
};

export const memoryStates: Readonly<Record<string, State>> = {
  'region: open over an ArrayBuffer': {
    partner: 'none',
    reach: async (scene) => void (await opened(scene, () => new ArrayBuffer(sizeBytes))),
  },
  'region: open over a SharedArrayBuffer': {
    partner: 'none',
    reach: async (scene) => void (await opened(scene, () => new SharedArrayBuffer(sizeBytes))),
  },
  'region: open, allocated, with views': {
    partner: 'none',
    reach: async (scene) => {
      const region = await scene.allocate(await scene.peer());
      scene.keep(region.view(4096, 64));
    },
  },
  'region: open over a file': {
    partner: 'none',
    reach: async (scene) => void (await scene.register(await scene.peer(), await scene.file())),
  },
  'region: an ArrayBuffer that is being written to': {
    partner: 'writing',
    reach: async (scene) => {
      const bytes = new Uint8Array(sizeBytes);
      const region = await opened(scene, () => bytes);
      await writtenTo(scene, region, bytes);
    },
  },
  'region: allocated memory that is being written to': {
    partner: 'writing',
    reach: async (scene) => {
      const region = await scene.allocate(await scene.peer());
      await writtenTo(scene, region, region.bytes);
    },
  },
  'region: a file that is being written to': {
    partner: 'writing',
    reach: async (scene) => {
      const file = await scene.file();
      const region = await scene.register(await scene.peer(), file);
      await writtenTo(scene, region, file.bytes);
    },
  },
  'region: being closed while it is written to': {
    partner: 'writing',
    reach: async (scene) => {
      const bytes = new Uint8Array(sizeBytes);
      const region = await opened(scene, () => bytes);
      await writtenTo(scene, region, bytes);
      scene.begin(region.close());
    },
  },
  'region: pending reads into an ArrayBuffer': {
    partner: 'deaf',
    reach: async (scene) => readInto(scene, await opened(scene, () => new ArrayBuffer(sizeBytes))),
  },
  'region: being closed with pending reads into it': {
    partner: 'deaf',
    staysAlive: 'close() waits for the reads, and those for the other side',
    reach: async (scene) => {
      const region = await opened(scene, () => new ArrayBuffer(sizeBytes));
      await readInto(scene, region);
      scene.begin(region.close());
    },
  },
  'file: mapped': {
    partner: 'none',
    reach: async (scene) => void (await scene.file()),
  },
  'file: a persist under way': { partner: 'none', reach: persistUnderWay },
  'file: unmapping behind a persist': {
    partner: 'none',
    reach: async (scene) => {
      const file = await scene.file();
      slowDisk();
      scene.begin(file.persist());
      scene.begin(file.unmap());
    },
  },
  'file: unmapped': {
    partner: 'none',
    reach: async (scene) => (await scene.file()).unmap(),
  },
  'file: persists of the other side under way': {
    partner: 'persisting',
    reach: async (scene) => {
      const file = await scene.file();
      const region = await scene.register(await scene.peer(), file);
      slowDisk();
      await writtenTo(scene, region, file.bytes);
      while (nativeTest().faultHits('memory.msync') === 0) await turn();
    },
  },
};
