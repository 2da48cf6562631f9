// SPDX-License-Identifier: BSD-3-Clause
//
// Runs inside a network namespace of its own, where addresses other than loopback's are its own:
// peers at one of them break memory protection again and again, and peers at another one do not.
// Messages: refused (what the machine does not allow), slowed.

import assert from 'node:assert/strict';
import { subscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type Endpoint, Peer } from 'rpma';
import { channels, type ErrorReport } from 'rpma/diagnostics';
import { report } from '../../support/child.js';
import { until, withDeadline } from '../../support/deadline.js';
import { encodeSetup, opcodes, plainSetup, taggedFrame } from '../../support/iwarp.js';
import { ip, type Refused, SetupRefusal, setUpNetwork } from '../../support/namespaces.js';

export interface Slowed {
  readonly kind: 'slowed';
  /** From the TCP connection to the Reply: of each offence in turn. */
  readonly repliesMs: readonly number[];
  readonly messages: number;
  readonly told: number;
  readonly address: string | null;
}

const listening = '10.89.0.1';
const bad = '10.89.0.2';
const good = '10.89.0.3';
const offences = 9;
const request = encodeSetup(plainSetup('request'));
const wrong = taggedFrame(opcodes.write, 0xbad, 0n, new Uint8Array(8));

/** A plain initiator at an address; its Reply, and when it came. */
class Stranger {
  readonly socket: Socket;
  readonly replied: Promise<number>;

  constructor(endpoint: Endpoint, from: string) {
    this.socket = connect({ host: listening, port: endpoint.port, localAddress: from });
    this.socket.on('error', () => undefined);
    this.replied = this.#reply();
  }

  async #reply(): Promise<number> {
    await once(this.socket, 'connect');
    const start = performance.now();
    this.socket.write(request);
    await once(this.socket, 'data');
    return performance.now() - start;
  }

  get isOpen(): boolean {
    return !this.socket.readableEnded && !this.socket.destroyed;
  }
}

async function offend(endpoint: Endpoint): Promise<number> {
  const stranger = new Stranger(endpoint, bad);
  const repliedMs = await withDeadline(stranger.replied, 'a Reply');
  stranger.socket.write(wrong);
  await withDeadline(once(stranger.socket, 'end'), 'the end of who broke protection');
  stranger.socket.destroy();
  return repliedMs;
}

async function scenario(): Promise<Slowed> {
  const peer = await Peer.open({ localAddress: listening });
  const endpoint = await peer.listen(listening, 0, { limits: { pendingSetupsPerAddress: 2 } });
  void (async () => {
    for await (const incoming of endpoint) incoming.accept();
  })();
  const reports: ErrorReport[] = [];
  subscribe(channels.error, (message) => void reports.push(message as ErrorReport));
  const repliesMs: number[] = [];
  for (let n = 0; n < offences; n++) repliesMs.push(await offend(endpoint));

  // Two wait their time, and are pending: a third from there is closed. Who came last, from another
  // address, is served first.
  const order: string[] = [];
  const waiting = [new Stranger(endpoint, bad), new Stranger(endpoint, bad)];
  for (const each of waiting) void each.replied.then(() => order.push(bad));
  await Promise.all(waiting.map(({ socket }) => once(socket, 'connect')));
  const third = new Stranger(endpoint, bad);
  third.replied.catch(() => undefined);
  third.socket.resume();
  await until(() => !third.isOpen, 'the third is closed', 2000);
  const other = new Stranger(endpoint, good);
  void other.replied.then(() => order.push(good));
  await Promise.all([...waiting, other].map(({ replied }) => withDeadline(replied, 'a Reply')));
  assert.deepEqual(order, [good, bad, bad]);
  const slowed = (): ErrorReport[] => reports.filter(({ kind }) => kind === 'address-slowed');
  const told = (): number => slowed().reduce((sum, { count }) => sum + count, 0);
  const delayed = offences - 5 + waiting.length;
  await until(() => told() >= delayed, `${delayed} delays are told`);
  const { address = null } = slowed().at(-1) ?? {};
  for (const { socket } of [...waiting, other]) socket.destroy();
  peer.destroy();
  await peer.close();
  return { kind: 'slowed', repliesMs, messages: slowed().length, told: told(), address };
}

try {
  await setUpNetwork(() => {
    ip('link set lo up');
    for (const address of [listening, bad, good]) ip(`addr add ${address}/32 dev lo`);
  });
  report(await scenario());
} catch (error) {
  if (!(error instanceof SetupRefusal)) throw error;
  const refused: Refused = { kind: 'refused', reason: error.message };
  report(refused);
}
process.exit(process.exitCode ?? 0);
