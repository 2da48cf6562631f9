// SPDX-License-Identifier: BSD-3-Clause
//
// The descriptors of this process, counted by kind, and whether one is readable now.

import { readdirSync, readlinkSync } from 'node:fs';
import { Epoll } from 'rpma';

/** How many eventfds and epoll sets are open. */
export function openDescriptors(): { readonly events: number; readonly sets: number } {
  const kinds = readdirSync('/proc/self/fd').map((name) => {
    try {
      return readlinkSync(`/proc/self/fd/${name}`);
    } catch {
      return ''; // that of this very listing
    }
  });
  const count = (word: string): number => kinds.filter((kind) => kind.includes(word)).length;
  return { events: count('[eventfd]'), sets: count('[eventpoll]') };
}

/** Whether it is readable, or becomes so in time; with an Epoll of this thread. */
export function isReadable(fd: number, timeoutMs: number = 0): boolean {
  using epoll = new Epoll<number>();
  const [event] = epoll.add(fd, fd).waitSync(timeoutMs);
  return event?.readable === true;
}
