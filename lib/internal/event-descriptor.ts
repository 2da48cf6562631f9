// SPDX-License-Identifier: BSD-3-Clause
//
// The descriptor of a connection's events. JS thread only.

import type { UnreadEvents } from './connection-events.js';
import { native, type Handle } from './native.js';
import { SourceDescriptor } from './readiness.js';

/** `active`: the native connection's handle while it may have events; 0 before and after. */
export function describeEvents(
  owner: object,
  unread: UnreadEvents,
  active: () => Handle,
): SourceDescriptor {
  return new SourceDescriptor(owner, {
    name: 'connection events',
    watch: (readiness) => {
      // Events that wait in the addon are announced by it.
      if (active() !== 0) native.readinessWatch(readiness, active(), true);
    },
    rearm: (readiness) => native.readinessClear(readiness),
    hasKept: () => !unread.isEmpty,
    ended: () => active() === 0 && unread.isEmpty,
  });
}
