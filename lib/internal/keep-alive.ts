// SPDX-License-Identifier: BSD-3-Clause
//
// Who keeps the process alive. Each listening endpoint, each connection and each shared queue has
// one KeepAlive that counts its reasons (being open, pending waits and promises); the environment
// counts the KeepAlives that have a reason and are not unref'd, and tells the addon at 0 and 1. JS
// thread only.

/** Told when the first holder comes and the last one goes. */
export interface HolderCount {
  hold(): void;
  release(): void;
}

/** The reasons of one object. */
export class KeepAlive {
  readonly #count: HolderCount;
  #reasons = 0;
  #referenced = true;
  #holding = false;

  constructor(count: HolderCount) {
    this.#count = count;
  }

  hold(): void {
    if (this.#reasons++ === 0) this.#update();
  }

  release(): void {
    if (--this.#reasons === 0) this.#update();
  }

  setReferenced(on: boolean): void {
    this.#referenced = on;
    this.#update();
  }

  #update(): void {
    const holding = this.#referenced && this.#reasons > 0;
    if (holding === this.#holding) return;
    this.#holding = holding;
    if (holding) this.#count.hold();
    else this.#count.release();
  }
}
