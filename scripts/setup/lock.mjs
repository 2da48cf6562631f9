// SPDX-License-Identifier: BSD-3-Clause
//
// One set-up at a time in a checkout, however many shells start one. The lock is a socket in Linux'
// abstract name space, named after the checkout: the kernel drops it with the process that holds
// it, so there is no stale lock to break. Whoever waits is connected to the holder and wakes when
// that connection ends.
import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import net from 'node:net';
import { root } from './files.mjs';
import { say } from './steps.mjs';

function lockName(subject) {
  const hash = createHash('sha256').update(realpathSync(root)).digest('hex');
  return `\0rpma-${subject}-${hash.slice(0, 24)}`;
}

function tryLock(name) {
  return new Promise((resolve, reject) => {
    const waiters = new Set();
    const server = net.createServer((socket) => {
      waiters.add(socket);
      socket.on('error', () => {}).on('close', () => waiters.delete(socket));
      socket.unref();
    });
    server.on('error', (error) => (error.code === 'EADDRINUSE' ? resolve(null) : reject(error)));
    server.listen(name, () => {
      server.unref();
      resolve(() => {
        server.close();
        for (const socket of waiters) socket.destroy();
      });
    });
  });
}

function waitForHolder(name) {
  return new Promise((resolve) => {
    const socket = net.connect(name);
    socket.on('error', () => {}).on('close', resolve);
    socket.resume();
  });
}

/** Runs `work` while holding the lock of the subject. */
export async function withLock(subject, work) {
  const name = lockName(subject);
  let release = await tryLock(name);
  if (release === null) {
    const notice = setTimeout(
      () => say(`waiting for the ${subject} that another process runs`),
      500,
    );
    while (release === null) {
      await waitForHolder(name);
      release = await tryLock(name);
    }
    clearTimeout(notice);
  }
  try {
    return await work();
  } finally {
    release();
  }
}
