// SPDX-License-Identifier: BSD-3-Clause
//
// The other sides of the states: they live in the test's process, do their part by themselves, and
// tell whether they saw the end. Some are the library, others a script over a socket, for what an
// honest peer would not do.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { TestContext } from 'node:test';
import {
  type Connection,
  type IncomingRequest,
  isRpmaError,
  type MemoryRegion,
  Peer,
  RemoteRegion,
} from 'rpma';
import { fromHex, toHex } from '../../support/child.js';
import { until, withDeadline } from '../../support/deadline.js';
import { encodeSetup, offerWord, plainSetup, plainWord } from '../../support/iwarp.js';
import { ScriptedPeer } from '../../support/scripted-peer.js';
import { allUsage, type Place, sizeBytes } from './scene.js';

export const partnerKinds = [
  'none', // nobody
  'serving', // accepts everything
  'undecided', // takes requests and neither accepts nor rejects them
  'mute', // accepts at TCP and never replies
  'deaf', // replies, then reads nothing
  'leaving', // replies and goes
  'leaving-mail', // replies, sends three messages and goes
  'resetting', // replies, waits for bytes, resets
  'knocking', // connects three times
  'hesitating', // sends a Request and never a frame
  'writing', // connects and writes without a pause
  'persisting', // connects and writes durably without a pause
] as const;
export type PartnerKind = (typeof partnerKinds)[number];

/** The other side sees an end within this, on a loaded machine under a sanitizer, too. */
const seenMs = process.env['RPMA_SANITIZED'] === undefined ? 5000 : 20_000;

export interface Partner extends Place {
  /** The one that is going to end listens there. */
  meet(place: Place): void;
  /** Resolves when it has had word from the other. */
  met(): Promise<void>;
  /** Resolves when everything that it had with the other has ended. */
  sawEnd(): Promise<void>;
  close(): Promise<void>;
}

const nobody: Partner = {
  port: 0,
  descriptor: '',
  meet: () => undefined,
  met: () => Promise.resolve(),
  sawEnd: () => Promise.resolve(),
  close: () => Promise.resolve(),
};

/** Over the library. Its connections are counted: a partner that met nobody proves nothing. */
class LibraryPartner implements Partner {
  readonly peer: Peer;
  readonly region: MemoryRegion;
  readonly kind: PartnerKind;
  port = 0;
  readonly descriptor: string;
  readonly #ends: Promise<unknown>[] = [];
  readonly #requests: IncomingRequest[] = [];

  private constructor(kind: PartnerKind, peer: Peer, region: MemoryRegion) {
    this.kind = kind;
    this.peer = peer;
    this.region = region;
    this.descriptor = toHex(region.toDescriptor());
  }

  static async open(kind: PartnerKind): Promise<LibraryPartner> {
    const peer = await Peer.open({ localAddress: '127.0.0.1' });
    const region = await peer.allocate(sizeBytes, { usage: allUsage });
    const partner = new LibraryPartner(kind, peer, region);
    if (kind === 'serving' || kind === 'undecided') await partner.#listen();
    return partner;
  }

  async #listen(): Promise<void> {
    const endpoint = await this.peer.listen('127.0.0.1', 0);
    this.port = endpoint.port;
    const serve = async (): Promise<void> => {
      for await (const request of endpoint) {
        if (this.kind === 'undecided') this.#requests.push(request);
        else this.#ends.push(request.accept().whenClosed());
      }
    };
    void serve();
  }

  meet({ port, descriptor }: Place): void {
    if (port === 0) return;
    const times = this.kind === 'knocking' ? 3 : 1;
    for (let i = 0; i < times; i++) {
      const dialled = this.#dial(port, descriptor);
      dialled.catch(() => undefined); // sawEnd() looks at it
      this.#ends.push(dialled);
    }
  }

  /** Ends with the connection, or with the refusal. */
  async #dial(port: number, descriptor: string): Promise<void> {
    let connection: Connection;
    try {
      connection = await this.peer.connect('127.0.0.1', port);
    } catch (error) {
      // Nobody decided about the request, so nobody accepted it.
      if (isRpmaError(error) && error.code === 'ERR_RPMA_REJECTED') return;
      throw error;
    }
    if (this.kind === 'writing' || this.kind === 'persisting') {
      const remote = RemoteRegion.fromDescriptor(fromHex(descriptor));
      for (let i = 0; i < 8; i++) void this.#pour(connection, remote);
    }
    await connection.whenClosed();
  }

  async #pour(connection: Connection, remote: RemoteRegion): Promise<void> {
    const guarantee = this.kind === 'writing' ? 'reusable' : 'durable';
    const range = { local: this.region, remote, length: remote.sizeBytes };
    try {
      for (;;) await connection.write({ ...range, until: guarantee });
    } catch {
      // It ended, which is what whenClosed() waits for.
    }
  }

  met(): Promise<void> {
    if (this.port === 0) return Promise.resolve();
    const some = (): boolean => this.#requests.length + this.#ends.length > 0;
    return until(some, 'a request reaches the partner');
  }

  async sawEnd(): Promise<void> {
    // What was never answered is asked now, and there must be nobody to hear the answer.
    for (const request of this.#requests) this.#ends.push(request.accept().whenClosed());
    assert.ok(this.#ends.length > 0, 'the partner met nobody');
    await withDeadline(Promise.all(this.#ends), 'the other side sees the end', seenMs);
  }

  close(): Promise<void> {
    return withDeadline(this.peer.close(), "the partner's peer closes", seenMs);
  }
}

/** The Reply of our own kind: the answer's pattern and a trailer with every capability. */
function extendedReply(): Uint8Array {
  const trailer = Buffer.from('52504d41011000000000000000000007', 'hex');
  const word = { ...plainWord, outboundBits: 0x8000 };
  return encodeSetup({ ...plainSetup('reply', trailer), word });
}

async function behave(kind: PartnerKind, script: ScriptedPeer): Promise<void> {
  await script.setup();
  if (kind === 'mute') return;
  if (kind === 'deaf') {
    script.write(extendedReply());
    script.socket.pause();
    return;
  }
  script.write(encodeSetup(plainSetup('reply')));
  if (kind === 'resetting') {
    await script.frame();
    script.socket.resetAndDestroy();
    return;
  }
  if (kind === 'leaving-mail') for (let i = 0; i < 3; i++) script.send(Buffer.from('unread'));
  script.socket.end();
}

/** Over bare sockets. */
class ScriptPartner implements Partner {
  readonly port: number;
  readonly descriptor = '';
  readonly #test: TestContext;
  readonly #scripts: ScriptedPeer[];
  readonly #stop: () => void;

  private constructor(test: TestContext, port: number, scripts: ScriptedPeer[], stop: () => void) {
    this.#test = test;
    this.port = port;
    this.#scripts = scripts;
    this.#stop = stop;
  }

  static async open(test: TestContext, kind: PartnerKind): Promise<ScriptPartner> {
    const scripts: ScriptedPeer[] = [];
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      const script = new ScriptedPeer(socket, test);
      scripts.push(script);
      // It may end before the script does.
      behave(kind, script).catch(() => undefined);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    assert.ok(address !== null && typeof address === 'object');
    return new ScriptPartner(test, address.port, scripts, () => server.close());
  }

  meet({ port }: Place): void {
    if (port !== 0) void this.#hesitate(port);
  }

  async #hesitate(port: number): Promise<void> {
    const script = await ScriptedPeer.dial(this.#test, port);
    this.#scripts.push(script);
    script.write(encodeSetup({ ...plainSetup('request'), word: offerWord }));
  }

  met(): Promise<void> {
    return until(() => this.#scripts.length > 0, 'a script meets somebody');
  }

  async sawEnd(): Promise<void> {
    assert.ok(this.#scripts.length > 0, 'the partner met nobody');
    for (const script of this.#scripts) {
      script.socket.resume();
      await script.ended(seenMs);
    }
  }

  close(): Promise<void> {
    for (const script of this.#scripts) script.socket.destroy();
    this.#stop();
    return Promise.resolve();
  }
}

export function openPartner(test: TestContext, kind: PartnerKind): Promise<Partner> {
  switch (kind) {
    case 'none':
      return Promise.resolve(nobody);
    case 'serving':
    case 'undecided':
    case 'knocking':
    case 'writing':
    case 'persisting':
      return LibraryPartner.open(kind);
    case 'mute':
    case 'deaf':
    case 'leaving':
    case 'leaving-mail':
    case 'resetting':
    case 'hesitating':
      return ScriptPartner.open(test, kind);
  }
}
