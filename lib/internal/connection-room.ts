// SPDX-License-Identifier: BSD-3-Clause
//
// A connection's send queue as the waits for room see it. JS thread only.

import type { WaitOptions } from '../types.js';
import { closedError, notEstablishedError } from './connection-failure.js';
import type { ConnectionCore } from './connection-core.js';
import { native } from './native.js';
import { SendRoom } from './send-room.js';

const what = 'connection.whenSendQueueFree()';

/** The waits of one connection. */
export function sendRoomOf(core: ConnectionCore): SendRoom {
  return new SendRoom(
    {
      get sendRoom(): number {
        return core.connectionState === 'established' ? native.sendQueueFree(core.handle) : 0;
      },
      get hasWaitingSends(): boolean {
        return core.hasWaitingSends;
      },
      watchSendQueue(slots: number): boolean {
        // Otherwise its end is on the way, and ends the wait.
        if (core.connectionState !== 'established') return true;
        return native.watchSendQueue(core.handle, slots) !== 0;
      },
      endError: () => closedError(core, what),
      failureContext: core.failureContext,
    },
    core.keepAlive,
  );
}

/** The number and the options were checked. */
export function waitForRoom(
  core: ConnectionCore,
  slots: number,
  options: WaitOptions | undefined,
): Promise<void> {
  core.requireActive(what);
  if (core.connectionState !== 'established') throw notEstablishedError(core, what);
  return core.room.wait(slots, options);
}
