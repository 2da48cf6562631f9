// SPDX-License-Identifier: BSD-3-Clause
//
// A worker of this process that adopts what it is sent: its jobs as calls.

import { Worker } from 'node:worker_threads';
import type { ConnectionState, Guarantee, HandOverTicket } from 'rpma';
import { withDeadline } from './deadline.js';

/** Each job: what it is given, what it answers. */
export interface Jobs {
  readonly adoptPeer: [HandOverTicket, string];
  readonly adoptRegion: [
    HandOverTicket,
    { readonly descriptor: string; readonly sizeBytes: number },
  ];
  readonly store: [number, void];
  readonly load: [undefined, number];
  readonly closeRegion: [undefined, void];
  /** Adopts a request and accepts it; answers when it is up. */
  readonly accept: [HandOverTicket, number];
  readonly adoptConnection: [HandOverTicket, ConnectionState];
  readonly handOver: [number, HandOverTicket];
  readonly shareRegion: [undefined, HandOverTicket];
  /** The ids of so many completions, negative for failed ones. */
  readonly complete: [number, number[]];
  /** From the newest region. */
  readonly write: [{ readonly descriptor: string; readonly until: Guarantee }, void];
  readonly events: [undefined, string[]];
  readonly whenClosed: [undefined, string];
  readonly closePeer: [undefined, void];
  readonly exit: [undefined, void];
}
export type JobName = keyof Jobs;

export interface Job {
  readonly id: number;
  readonly name: JobName;
  readonly argument: unknown;
}

interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: { readonly code: string; readonly message: string };
}

export class HandOverWorker {
  readonly worker: Worker;
  readonly exited: Promise<number>;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #nextId = 0;

  constructor() {
    this.worker = new Worker(new URL('./hand-over-worker.js', import.meta.url));
    this.exited = new Promise((resolve) => this.worker.once('exit', resolve));
    this.worker.on('message', (answer: Answer) => {
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
  }

  /** Without waiting for an answer. */
  tell<Name extends JobName>(name: Name, argument: Jobs[Name][0]): number {
    const id = this.#nextId++;
    this.worker.postMessage({ id, name, argument } satisfies Job);
    return id;
  }

  /** Rejects with an error that has the worker's code. */
  async ask<Name extends JobName>(name: Name, argument: Jobs[Name][0]): Promise<Jobs[Name][1]> {
    const id = this.tell(name, argument);
    const answered = new Promise<Answer>((resolve, reject) => {
      this.#waiting.set(id, resolve);
      void this.exited.then((code) => reject(new Error(`the worker ended with ${code}`)));
    });
    const { error, value } = await withDeadline(answered, `the worker's ${name}`, 20_000);
    if (error !== undefined) {
      throw Object.assign(new Error(error.message), { code: error.code });
    }
    return value as Jobs[Name][1];
  }

  async end(): Promise<void> {
    await withDeadline(this.worker.terminate(), 'the worker is terminated', 20_000);
  }
}
