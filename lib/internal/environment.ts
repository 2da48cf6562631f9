// SPDX-License-Identifier: BSD-3-Clause
//
// This thread's side of the boundary: the record buffers, the wake-up and what it is passed on to,
// the count of what keeps the process alive. One per environment (main thread or worker), made at
// first use. A wake-up drains the ready records and calls onReady() of each object; after 1 ms it
// leaves the rest to a later turn of the loop, so that a busy connection does not starve the
// program.

import { isMainThread } from 'node:worker_threads';
import { limits, readyLayout } from './abi.generated.js';
import { CompletionRecords } from './completion-codec.js';
import { failureOf, type FailureContext } from './failure.js';
import type { HolderCount } from './keep-alive.js';
import { drainLog, drainLogAtExit } from './log-reader.js';
import { native, type Handle, type NativeResult } from './native.js';
import type { SourceEnvironment } from './source.js';
import { SubmissionRecords } from './submission.js';

/** What a wake-up is passed on to. */
export interface ReadyListener {
  /** `kind`: enum readyKind. Must not throw. */
  onReady(kind: number): void;
}

/** Where posts are encoded; read by the addon during native.post() only. */
export const submissions: SubmissionRecords = new SubmissionRecords();
/** Where native.poll() puts completions; the next poll overwrites them. */
export const completions: CompletionRecords = new CompletionRecords(limits.completionsPerPoll);

const ready = new ArrayBuffer(limits.readyPerDrain * readyLayout.sizeBytes);
const readyDoubles = new Float64Array(ready);
const readyWords = new Uint32Array(ready);
const doublesPerReady = readyLayout.sizeBytes / 8;
const wordsPerReady = readyLayout.sizeBytes / 4;

const listeners = new Map<Handle, ReadyListener>();
let started = false;
let continuing = false;
let draining = false;
let holders = 0;
/** When this drain must let go of the loop; 0 until someone asks. */
let drainEnd = 0;

/** Connects this thread with the addon; once it has succeeded every later call does nothing. */
export function startEnvironment(): void {
  if (started) return;
  try {
    native.start(submissions.buffer, completions.buffer, ready, serveReady);
  } catch {
    throw failureOf(native.lastError(), "the library's start on this thread");
  }
  started = true;
  native.setReferenced(false);
  listen(0, { onReady: readLog });
  process.once('exit', drainLogAtExit);
}

function readLog(): void {
  if (drainLog(withinBudget)) later(readLog);
}

/** From now on the object's ready records reach the listener. */
export function listen(handle: Handle, listener: ReadyListener): void {
  listeners.set(handle, listener);
}

export function unlisten(handle: Handle): void {
  listeners.delete(handle);
}

/** Counts what keeps the process alive. */
export const holderCount: HolderCount = {
  hold(): void {
    if (++holders === 1) native.setReferenced(true);
  },
  release(): void {
    if (--holders === 0) native.setReferenced(false);
  },
};

/** Whether this drain may go on; its millisecond starts with the first question. */
export function withinBudget(): boolean {
  const now = performance.now();
  if (drainEnd === 0) drainEnd = now + limits.drainMs;
  return now < drainEnd;
}

/** Calls back in a later turn of the loop. Keeps the process alive only with what is waited for. */
export function later(callback: () => void): void {
  setImmediate(() => {
    drainEnd = 0;
    callback();
  });
}

/** Passes on what is ready; also for who blocks in another way than driveOnce(). */
export function serveReady(): void {
  drainEnd = 0;
  if (!draining) {
    drainReady();
    return;
  }
  // A listener waits, synchronously (a subscriber of a diagnostics channel may): the records of the
  // drain that called it are read to their end afterwards.
  const kept = readyDoubles.slice();
  drainReady();
  readyDoubles.set(kept);
  draining = true;
}

function drainReady(): void {
  draining = true;
  for (;;) {
    const count = native.drainReady();
    for (let i = 0; i < count; i++) {
      const listener = listeners.get(readyDoubles[i * doublesPerReady] ?? 0);
      listener?.onReady(readyWords[i * wordsPerReady + readyLayout.kind / 4] ?? 0);
    }
    if (count < limits.readyPerDrain) {
      draining = false;
      return;
    }
    if (!withinBudget()) break;
  }
  draining = false;
  if (continuing) return;
  continuing = true;
  later(() => {
    continuing = false;
    drainReady();
  });
}

/** What sources need of this thread. */
export const sourceEnvironment: SourceEnvironment = {
  isMainThread,
  driveOnce(timeoutMs: number): void {
    native.waitReady(timeoutMs);
    serveReady();
  },
  later,
};

/** Passes a result on, or throws the error of a negative one. */
export function check(result: NativeResult, what: string, context?: FailureContext): number {
  if (result < 0) throw failureOf(native.lastError(), what, context);
  return result;
}
