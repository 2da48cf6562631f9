// SPDX-License-Identifier: BSD-3-Clause
//
// Ends of a command that runs until it is told to stop: SIGINT, SIGTERM, or an output that nobody
// reads any more. The first signal asks for an orderly end; the second has the system's own effect.

const signals: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM'];

/** Watches for the end while it is open. */
export class Stop implements Disposable {
  readonly #controller: AbortController = new AbortController();
  readonly #outputEnded: AbortSignal;
  readonly #stop: () => void;

  constructor(outputEnded: AbortSignal) {
    this.#outputEnded = outputEnded;
    this.#stop = () => {
      this[Symbol.dispose]();
      this.#controller.abort();
    };
    for (const signal of signals) process.on(signal, this.#stop);
    outputEnded.addEventListener('abort', this.#stop);
    if (outputEnded.aborted) this.#stop();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get isAsked(): boolean {
    return this.#controller.signal.aborted;
  }

  [Symbol.dispose](): void {
    for (const signal of signals) process.off(signal, this.#stop);
    this.#outputEnded.removeEventListener('abort', this.#stop);
  }
}
