// SPDX-License-Identifier: BSD-3-Clause
//
// A TCP relay between two ends of the library that cuts what passes into frames: a test looks at
// every one of them, and may change its bytes before it is passed on.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Connection, ConnectionOptions, Endpoint, Peer } from 'rpma';
import { withDeadline } from './deadline.js';
import { decodeFrame, frameBytes, type Segment, setupBytes } from './iwarp.js';
import type { World } from './world.js';

export type Direction = 'from-initiator' | 'from-target';

/** May change the bytes of a frame in place before they are passed on. */
export type Tamper = (direction: Direction, segment: Segment, bytes: Buffer) => void;

export interface Tapped {
  readonly tap: Wiretap;
  readonly initiatorPeer: Peer;
  readonly targetPeer: Peer;
  readonly initiator: Connection;
  readonly target: Connection;
}

const setupHeaderBytes = 20;

export class Wiretap {
  readonly port: number;
  /** Set while frames pass, to damage them. */
  tamper: Tamper | null = null;
  readonly #frames: Record<Direction, Segment[]> = { 'from-initiator': [], 'from-target': [] };

  private constructor(port: number) {
    this.port = port;
  }

  /** A port that leads to the endpoint; one connection at a time is told apart. */
  static async before(world: World, endpoint: Endpoint): Promise<Wiretap> {
    const server: Server = createServer({ allowHalfOpen: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    assert.ok(address !== null && typeof address === 'object');
    const tap = new Wiretap(address.port);
    const sockets: Socket[] = [];
    world.test.after(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    server.on('connection', (near) => {
      const far = connect({ port: endpoint.port, host: endpoint.address, allowHalfOpen: true });
      sockets.push(near, far);
      tap.#relay('from-initiator', near, far);
      tap.#relay('from-target', far, near);
    });
    return tap;
  }

  /** What passed in one direction after the set-up, oldest first, as it was sent. */
  frames(direction: Direction): readonly Segment[] {
    return this.#frames[direction];
  }

  #relay(direction: Direction, from: Socket, to: Socket): void {
    let buffer = Buffer.alloc(0);
    let isSetUp = false;
    from.setNoDelay(true);
    from.on('data', (bytes: Buffer) => {
      buffer = Buffer.concat([buffer, bytes]);
      for (;;) {
        const size = isSetUp ? wholeFrame(buffer) : wholeSetup(buffer);
        if (size === null) return;
        const passing = Buffer.from(buffer.subarray(0, size));
        buffer = buffer.subarray(size);
        if (isSetUp) this.#pass(direction, passing);
        isSetUp = true;
        to.write(passing);
      }
    });
    from.on('end', () => to.end());
    from.on('error', () => to.destroy());
  }

  #pass(direction: Direction, bytes: Buffer): void {
    const segment = decodeFrame(bytes);
    this.#frames[direction].push(segment);
    this.tamper?.(direction, segment, bytes);
  }
}

function wholeSetup(buffer: Buffer): number | null {
  if (buffer.length < setupHeaderBytes) return null;
  const size = setupBytes(buffer);
  return buffer.length < size ? null : size;
}

function wholeFrame(buffer: Buffer): number | null {
  if (buffer.length < 2) return null;
  const size = frameBytes(buffer.readUInt16BE(0));
  return buffer.length < size ? null : size;
}

/** A connected pair whose every byte passes a wiretap. */
export async function tappedPair(
  world: World,
  options: { readonly initiator?: ConnectionOptions; readonly target?: ConnectionOptions } = {},
): Promise<Tapped> {
  const initiatorPeer = await world.peer();
  const targetPeer = await world.peer();
  const endpoint = await targetPeer.listen('127.0.0.1', 0);
  const tap = await Wiretap.before(world, endpoint);
  const connecting = initiatorPeer.connect('127.0.0.1', tap.port, {
    connection: options.initiator,
  });
  const accepting = endpoint.take({ connection: options.target }).then((request) => {
    assert.ok(request !== null);
    return request.accept().whenEstablished();
  });
  const both = Promise.all([connecting, accepting]);
  const [initiator, target] = await withDeadline(both, 'a connected pair');
  return { tap, initiatorPeer, targetPeer, initiator, target };
}
