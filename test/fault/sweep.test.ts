// SPDX-License-Identifier: BSD-3-Clause
//
// Every system call and every large allocation of the provider fails once, within one process: in a
// small scenario (open, listen, connect, write and flush, close) and in a rare one, which reaches
// what the small one does not. npm run fault does the same to whole programs.

import './sweep/in-process.js';
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import {
  type ConnectionOptions,
  type Endpoint,
  isRpmaError,
  type MemoryRegion,
  MemoryUsage,
  type Peer,
  RemoteRegion,
} from 'rpma';
import { conform } from '../support/conform.js';
import { withDeadline } from '../support/deadline.js';
import { Ledger } from '../support/ledger.js';
import { nativeTest } from '../support/native.js';
import { localUsage, posted, remoteUsage, takeRest } from '../support/world.js';
import { choices, connect, type Pair, type Row, sweepRows, withPeers } from './sweep/in-process.js';

const small: readonly Row[] = [
  ['iwarp.socket', 'EMFILE', 2],
  ['iwarp.bind', 'EADDRINUSE', 1],
  ['iwarp.listen', 'EADDRINUSE', 1],
  ['iwarp.accept', 'EMFILE', 2],
  ['iwarp.accept', 'ECONNABORTED', 2],
  ['iwarp.connect', 'ECONNREFUSED', 1],
  ['iwarp.connect', 'ENETUNREACH', 1],
  ['iwarp.recv', 'ECONNRESET', 4],
  ['iwarp.recv', 'ENOMEM', 2],
  ['iwarp.sendmsg', 'EPIPE', 4],
  ['iwarp.sendmsg', 'ENOBUFS', 2],
  ['iwarp.eventfd', 'EMFILE', 2],
  ['iwarp.epoll_create1', 'EMFILE', 2],
  ['iwarp.epoll_ctl', 'ENOSPC', 7],
  ['iwarp.send-request', 'EPIPE', 1],
  ['iwarp.send-reply', 'EPIPE', 1],
  ['iwarp.completion-ring', 'ENOMEM', 4],
  ['iwarp.send-slots', 'ENOMEM', 2],
  ['iwarp.inbound-slots', 'ENOMEM', 2],
  ['iwarp.staging-buffer', 'ENOMEM', 2],
  ['iwarp.epoll_wait', 'EINTR', 4],
  ['iwarp.eventfd-read', 'EAGAIN', 2],
  ['iwarp.eventfd-read', 'EINTR', 2],
  ['iwarp.eventfd-write', 'EINTR', 2],
  ['iwarp.getpeername', 'ENOTCONN', 3],
  ['iwarp.getsockname', 'ENOBUFS', 3],
  ['iwarp.recv-reply', 'ECONNRESET', 1],
  ['iwarp.recv-reply', 'EINTR', 1],
  ['iwarp.recv-request', 'ECONNRESET', 1],
  ['iwarp.recv-request', 'EINTR', 1],
  ['iwarp.setsockopt', 'ENOBUFS', 4],
  ['iwarp.shutdown', 'ENOTCONN', 1],
  ['iwarp.socket-error', 'ENOBUFS', 1],
  ['iwarp.take-over', 'ENOSPC', 1],
];
const rare: readonly Row[] = [
  ['iwarp.recvmsg', 'ECONNRESET', 1],
  ['iwarp.recvmsg', 'ENOMEM', 1],
  ['iwarp.recvmsg', 'EINTR', 1],
  ['iwarp.recvmsg', 'EFAULT', 1],
  ['iwarp.linger-send', 'EPIPE', 2],
  ['iwarp.linger-send', 'EAGAIN', 2],
  ['iwarp.linger-send', 'EINTR', 1],
  ['iwarp.linger-recv', 'ECONNRESET', 2],
  ['iwarp.linger-recv', 'EINTR', 1],
  ['iwarp.linger-shutdown', 'ENOTCONN', 1],
  ['iwarp.tcp-info', 'ENOBUFS', 1],
  ['iwarp.sched-getaffinity', 'EINVAL', 1],
  ['iwarp.poll', 'EINTR', 1],
  ['iwarp.poll', 'ENOMEM', 1],
];
/**
 * Needs an interface with a zone, which not every machine has: native/test/iwarp_socket_test.cc.
 */
const elsewhere = ['iwarp.if-nametoindex'];

/** Writes and flushes; every accepted one has its outcome, and the first failure is thrown. */
async function operate({ initiator, target }: Pair, from: Peer, to: Peer): Promise<void> {
  const usage = MemoryUsage.WriteSource | MemoryUsage.ReadDestination;
  const local = await from.allocate(4096, { usage });
  const lent = await to.allocate(4096, { usage: remoteUsage });
  const remote = RemoteRegion.fromDescriptor(lent.toDescriptor());
  const ledger = new Ledger();
  for (let n = 0; n < 2; n++) {
    const range = { local, remote, length: 4096 };
    const flush = { remote, length: 4096, type: 'visibility' as const };
    ledger.post('on-error', (id) => initiator.postWrite({ ...range, id, completion: 'on-error' }));
    ledger.post('always', (id) => initiator.postWrite({ ...range, id }));
    ledger.post('always', (id) => initiator.postFlush({ ...flush, id }));
    ledger.post('always', (id) => initiator.postRead({ ...range, id }));
    ledger.post('always', (id) => target.postReceive({ length: 0, id }));
  }
  for (let n = 0; n < 6 && initiator.state === 'established'; n++) {
    const done = await initiator.completionQueue.take({ timeoutMs: 3000 });
    if (done === null) break;
    ledger.add(done);
    if (!done.ok) break;
  }
  const ended = Promise.all([initiator.close(), target.close()]);
  ledger.add(...(await takeRest(initiator.completionQueue, 5000)));
  ledger.add(...(await takeRest(target.completionQueue, 5000)));
  await withDeadline(ended, 'both connections close', 5000);
  ledger.audit();
  for (const connection of [initiator, target]) {
    const { error } = await connection.whenClosed();
    if (error !== undefined) throw error;
  }
}

async function smallScenario(from: Peer, to: Peer): Promise<void> {
  const endpoint = await to.listen('127.0.0.1', 0, { connection: choices });
  await operate(await connect(from, endpoint), from, to);
}

/** Many times the staging buffer, so that frames are cut by its end and go on in place. */
const large = 8 * 1024 * 1024;
const plain: ConnectionOptions = { ...choices, crc: false };

/** Large messages without checksums, received in place; then an access that is refused. */
async function moveMuch(from: Peer, to: Peer, endpoint: Endpoint): Promise<void> {
  const { initiator, target } = await connect(from, endpoint, plain);
  const local = await from.allocate(large, { usage: localUsage });
  const lent = await to.allocate(large, { usage: remoteUsage });
  const remote = RemoteRegion.fromDescriptor(lent.toDescriptor());
  const range = { local, remote, length: large };
  posted(() => initiator.postWrite({ ...range }));
  posted(() => initiator.postRead({ ...range }));
  for (let n = 0; n < 2; n++) await initiator.completionQueue.take({ timeoutMs: 3000 });
  await lent.close();
  posted(() => initiator.postWrite({ ...range, length: 8 })); // a Terminate is the answer
  for (const connection of [initiator, target]) {
    await withDeadline(connection.whenClosed(), 'the end after a refused access', 5000);
  }
}

async function beRejected(from: Peer, endpoint: Endpoint): Promise<void> {
  const attempt = from.connect('127.0.0.1', endpoint.port, { connection: plain }).then(
    () => assert.fail('a rejected request became a connection'),
    (error: unknown) => assert.ok(isRpmaError(error), String(error)),
  );
  const request = await endpoint.take({ timeoutMs: 5000 });
  request?.reject();
  await withDeadline(attempt, 'the rejection', 8000);
}

/** A target that reads no more, because messages wait for receives, notices the hang-up. */
async function hangUpOnStalled(from: Peer, box: MemoryRegion, endpoint: Endpoint): Promise<void> {
  const options = { ...plain, maxFrameBytes: 'mss', sendQueueSize: 32 } as const;
  const { initiator, target } = await connect(from, endpoint, options);
  const message = { local: box, length: 4096 };
  for (let n = 0; n < 24; n++) posted(() => initiator.postSend(message));
  for (let n = 0; n < 24 && initiator.state === 'established'; n++) {
    await initiator.completionQueue.take({ timeoutMs: 3000 });
  }
  initiator.destroy();
  await withDeadline(target.whenClosed(), 'the end of the stalled side', 5000);
}

async function rareScenario(from: Peer, to: Peer): Promise<void> {
  const endpoint = await to.listen('127.0.0.1', 0, { connection: plain });
  await moveMuch(from, to, endpoint);
  await beRejected(from, endpoint);
  const box = await from.allocate(4096, { usage: MemoryUsage.Send });
  // The reset may overtake the messages: then the target never stalled, and it is done once more.
  const looks = nativeTest().faultHits('iwarp.poll');
  for (let n = 0; n < 50 && nativeTest().faultHits('iwarp.poll') === looks; n++) {
    await hangUpOnStalled(from, box, endpoint);
  }
}

conform('fault sweep', (suite) => {
  const { provider, it } = suite;
  if (provider !== 'iwarp') return;

  it('names every point of the provider', () => {
    const swept = new Set([...small, ...rare].map(([name]) => name).concat(elsewhere));
    const all = nativeTest().faultNames();
    assert.deepEqual(
      all.filter((name) => name.startsWith('iwarp.') && !swept.has(name)),
      [],
    );
  });

  it('closes at once when its FIN cannot leave', async (world) => {
    const patient = { closeTimeoutMs: 60_000 };
    const { initiator } = await world.pair({ initiator: patient, target: patient });
    world.after(() => nativeTest().faultClear());
    nativeTest().faultSet('iwarp.shutdown', 1, 1, constants.errno.ENOTCONN, 0);
    await withDeadline(initiator.close(), 'the close', 20_000);
    assert.equal(nativeTest().faultHits('iwarp.shutdown'), 1);
  });

  sweepRows(suite, small, () => withPeers({ provider }, smallScenario));
  sweepRows(suite, rare, () => withPeers({ provider, busyPollMicroseconds: 50 }, rareScenario));
});
