// SPDX-License-Identifier: BSD-3-Clause
//
// What the supervisor was told is durable, and whether a file agrees. Its own reading of the file,
// through the kernel and not through the library.

import { readFileSync } from 'node:fs';
import * as log from './log.js';
import { LogDefect } from './log.js';
import type { Report } from './protocol.js';

export class Acknowledged {
  readonly #records: Map<number, number> = new Map();
  #commit = 0;
  #trim = 0;
  #seen: log.Words = { trim: 0, commit: 0 };
  #told = 0;

  /** Acknowledgements so far. */
  get told(): number {
    return this.#told;
  }

  get seen(): log.Words {
    return this.#seen;
  }

  add(report: Report): void {
    if (report.kind === 'durable') this.#records.set(report.at, report.checksum);
    else if (report.kind === 'committed') this.#commit = report.at;
    else if (report.kind === 'trimmed') this.#trim = report.at;
    else return;
    this.#told++;
  }

  /** A new session writes from the commit word on: what lies behind it is promised no more. */
  startSession(): void {
    for (const at of [...this.#records.keys()]) {
      if (at >= this.#seen.commit) this.#records.delete(at);
    }
  }

  /** Reads the file, which nobody writes to now; throws a LogDefect. Gives the records in it. */
  verify(path: string): number {
    const image = readFileSync(path);
    const words = log.readWords(image);
    this.#verifyWords(words);
    const found = log.readRecords(image, words);
    const checksums = new Map(found.map(({ at, checksum }) => [at, checksum]));
    for (const [at, checksum] of [...this.#records]) {
      if (at < words.trim) {
        this.#records.delete(at);
        continue;
      }
      const actual = at < words.commit ? checksums.get(at) : log.readRecord(image, at).checksum;
      if (actual !== checksum) throw new LogDefect(`the durable record at ${at} is not there`);
    }
    this.#seen = words;
    return found.length;
  }

  #verifyWords({ trim, commit }: log.Words): void {
    const atLeast = (name: string, value: number, told: number, seen: number): void => {
      if (value < told) throw new LogDefect(`${name} is ${value}, ${told} was durable`);
      if (value < seen) throw new LogDefect(`${name} went back from ${seen} to ${value}`);
    };
    atLeast('the commit word', commit, this.#commit, this.#seen.commit);
    atLeast('the trim word', trim, this.#trim, this.#seen.trim);
  }
}
