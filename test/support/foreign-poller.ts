// SPDX-License-Identifier: BSD-3-Clause
//
// Somebody else's epoll(7) and poll(2): a python3 process that inherits a descriptor of ours and
// knows nothing of the library. What it says of a descriptor is what any other program would see.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { TestContext } from 'node:test';
import { withDeadline } from './deadline.js';

/** One line a question: how long to wait at most, in ms. One line an answer: epoll's, poll's. */
const program = `
import os, select, sys
epoll = select.epoll()
epoll.register(3, select.EPOLLIN)
poll = select.poll()
poll.register(3, select.POLLIN)
print("ready", flush=True)
for line in sys.stdin:
    timeout, mark = line.split(None, 1)
    found = len(epoll.poll(float(timeout) / 1000))
    again = len(epoll.poll(0))
    polled = len(poll.poll(0))
    if mark.strip() != "-":
        os.close(os.open(mark.strip(), os.O_CREAT | os.O_WRONLY))
    print(found, again, polled, flush=True)
`;

export class ForeignPoller {
  readonly #process: ChildProcess;
  readonly #lines: Interface;
  readonly #answers: AsyncIterator<string>;

  private constructor(fd: number) {
    this.#process = spawn('python3', ['-c', program], { stdio: ['pipe', 'pipe', 'inherit', fd] });
    const { stdout } = this.#process;
    if (stdout === null) throw new Error('no output of python3');
    this.#lines = createInterface({ input: stdout });
    this.#answers = this.#lines[Symbol.asyncIterator]();
  }

  /** Watches a duplicate of the descriptor until the test ends. */
  static async of(test: TestContext, fd: number): Promise<ForeignPoller> {
    const poller = new ForeignPoller(fd);
    test.after(() => poller.end());
    const word = await poller.#answer();
    if (word !== 'ready') throw new Error(`python3 says ${word}`);
    return poller;
  }

  /** Whether it is readable, or becomes so in time: for epoll(7), again, and for poll(2). */
  async readable(timeoutMs: number = 0): Promise<boolean> {
    this.#ask(timeoutMs, '-');
    return this.#told();
  }

  /**
   * Blocks this very thread, loop and all, until the other process has seen it readable: so
   * nothing of this thread can have had a part in that.
   */
  async wakesWhileBlocked(folder: string, start: () => void = () => undefined): Promise<boolean> {
    const mark = join(folder, `woken-${process.hrtime.bigint()}`);
    this.#ask(20_000, mark);
    // Written by the loop: it must have left before the loop stops.
    await new Promise((resolve) => this.#process.stdin?.write('', resolve));
    start();
    const pause = new Int32Array(new SharedArrayBuffer(4));
    const end = performance.now() + 25_000;
    while (!existsSync(mark) && performance.now() < end) Atomics.wait(pause, 0, 0, 5);
    return this.#told();
  }

  end(): void {
    this.#process.kill('SIGKILL');
  }

  #ask(timeoutMs: number, mark: string): void {
    this.#process.stdin?.write(`${timeoutMs} ${mark}\n`);
  }

  async #told(): Promise<boolean> {
    const answer = await this.#answer();
    if (answer === '1 1 1') return true;
    if (answer === '0 0 0') return false;
    throw new Error(`epoll(7), once more, and poll(2) do not agree: ${answer}`);
  }

  async #answer(): Promise<string> {
    const next = await withDeadline(this.#answers.next(), 'python3 answers', 30_000);
    if (next.done === true) throw new Error('python3 ended');
    return next.value;
  }
}
