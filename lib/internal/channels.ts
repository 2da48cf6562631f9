// SPDX-License-Identifier: BSD-3-Clause
//
// The channels of node:diagnostics_channel on which the library publishes, and the one way to do
// so: nothing is made of a message that nobody subscribed to. A subscriber that throws is Node's to
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

/** Names of the channels. */
export const channels: {
  /** Each record of the log that passes `log.threshold`: its messages are {@link LogRecord}s. */
  readonly log: 'rpma:log';
  /** A peer was opened or adopted: its messages are {@link PeerMessage}s. */
  readonly peerOpen: 'rpma:peer:open';
  /** A peer was closed: its messages are {@link PeerMessage}s. */
  readonly peerClose: 'rpma:peer:close';
  /** An endpoint listens: its messages are {@link EndpointMessage}s. */
  readonly endpointListen: 'rpma:endpoint:listen';
  /** A request was fetched: its messages are {@link RequestMessage}s. */
  readonly requestIncoming: 'rpma:request:incoming';
  /** An event of a connection came: its messages are {@link ConnectionEventMessage}s. */
  readonly connectionEvent: 'rpma:connection:event';
  /** Memory was registered, allocated or adopted: its messages are {@link RegionMessage}s. */
  readonly regionRegister: 'rpma:region:register';
  /** A region was closed: its messages are {@link RegionMessage}s. */
  readonly regionClose: 'rpma:region:close';
  /** Posts found a full queue: its messages are {@link QueueFullMessage}s. */
  readonly queueFull: 'rpma:queue:full';
  /** What an endpoint refused or put off: its messages are {@link ErrorReport}s. */
  readonly error: 'rpma:error';
  /** A TracingChannel around `peer.connect()`: its messages are {@link ConnectMessage}s. */
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
  // Node's own types say less: it gives what connect() gives.
  const traced: Promise<unknown> = connecting.tracePromise<unknown>(connect, message);
  return traced as Promise<T>;
}
