// SPDX-License-Identifier: BSD-3-Clause
//
// The channels of node:diagnostics_channel on which the library publishes, and the one way to do so:
// nothing is made of a message that nobody subscribed to. A subscriber that throws is Node's to
// report, as an uncaught exception of the next tick. No addon; each environment has channels of its
// own. JS thread only.

import { channel, tracingChannel } from 'node:diagnostics_channel';
import type {
  ConnectionEventMessage,
  ConnectMessage,
  EndpointMessage,
  ErrorReport,
  PeerMessage,
  QueueFullMessage,
  RegionMessage,
  RequestMessage,
} from '../diagnostics.js';
import type { LogRecord } from '../log.js';

/** Names of the channels; `connect` is that of a TracingChannel. */
export const channels: {
  readonly log: 'rpma:log';
  readonly peerOpen: 'rpma:peer:open';
  readonly peerClose: 'rpma:peer:close';
  readonly endpointListen: 'rpma:endpoint:listen';
  readonly requestIncoming: 'rpma:request:incoming';
  readonly connectionEvent: 'rpma:connection:event';
  readonly regionRegister: 'rpma:region:register';
  readonly regionClose: 'rpma:region:close';
  readonly queueFull: 'rpma:queue:full';
  readonly error: 'rpma:error';
  readonly connect: 'rpma:connect';
} = Object.freeze({
  log: 'rpma:log',
  peerOpen: 'rpma:peer:open',
  peerClose: 'rpma:peer:close',
  endpointListen: 'rpma:endpoint:listen',
  requestIncoming: 'rpma:request:incoming',
  connectionEvent: 'rpma:connection:event',
  regionRegister: 'rpma:region:register',
  regionClose: 'rpma:region:close',
  queueFull: 'rpma:queue:full',
  error: 'rpma:error',
  connect: 'rpma:connect',
});

interface Messages {
  readonly log: LogRecord;
  readonly peerOpen: PeerMessage;
  readonly peerClose: PeerMessage;
  readonly endpointListen: EndpointMessage;
  readonly requestIncoming: RequestMessage;
  readonly connectionEvent: ConnectionEventMessage;
  readonly regionRegister: RegionMessage;
  readonly regionClose: RegionMessage;
  readonly queueFull: QueueFullMessage;
  readonly error: ErrorReport;
}

// Held here: Node keeps a channel only as long as somebody does.
const published = {
  log: channel(channels.log),
  peerOpen: channel(channels.peerOpen),
  peerClose: channel(channels.peerClose),
  endpointListen: channel(channels.endpointListen),
  requestIncoming: channel(channels.requestIncoming),
  connectionEvent: channel(channels.connectionEvent),
  regionRegister: channel(channels.regionRegister),
  regionClose: channel(channels.regionClose),
  queueFull: channel(channels.queueFull),
  error: channel(channels.error),
} as const;

const connecting = tracingChannel<unknown, ConnectMessage>(channels.connect);
const connectSteps = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'] as const;

/** Whether anybody would hear it. */
export function isHeard(name: keyof Messages): boolean {
  return published[name].hasSubscribers;
}

/** Publishes what `make` gives, if somebody subscribed. */
export function publish<K extends keyof Messages>(name: K, make: () => Messages[K]): void {
  if (isHeard(name)) published[name].publish(make());
}

/** Traces the steps of a connect, if somebody subscribed to one of them. */
export function traceConnect<T>(message: ConnectMessage, connect: () => Promise<T>): Promise<T> {
  if (!connectSteps.some((step) => connecting[step].hasSubscribers)) return connect();
  return connecting.tracePromise(connect, message) as Promise<T>;
}
