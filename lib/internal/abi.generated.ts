// SPDX-License-Identifier: BSD-3-Clause
//
// Codes, enums, flags, limits and record layouts shared with the native addon. Generated from
// abi/*.json by scripts/generate-abi.mjs; do not edit.

/** Both sides carry this hash of abi/*.json; an addon with another one is refused. */
export const abiHash = '5f88577c1cf1043a';

/** Every status, indexed by its number. */
export const statuses = [
  {
    code: 'ERR_RPMA_OK',
    class: 'none',
    scope: 'operation',
    retryable: false,
    message: 'success',
  },
  {
    code: 'ERR_RPMA_INVALID_ARG_TYPE',
    class: 'TypeError',
    scope: 'operation',
    retryable: false,
    message: 'wrong type of argument',
  },
  {
    code: 'ERR_RPMA_INVALID_ARG_VALUE',
    class: 'TypeError',
    scope: 'operation',
    retryable: false,
    message: 'unusable value of argument',
  },
  {
    code: 'ERR_RPMA_OUT_OF_RANGE',
    class: 'RangeError',
    scope: 'operation',
    retryable: false,
    message: 'number or range out of bounds',
  },
  {
    code: 'ERR_RPMA_ALIGNMENT',
    class: 'RangeError',
    scope: 'operation',
    retryable: false,
    message: 'atomic write not on a multiple of 8 bytes',
  },
  {
    code: 'ERR_RPMA_DESCRIPTOR',
    class: 'RangeError',
    scope: 'operation',
    retryable: false,
    message: 'malformed descriptor',
  },
  {
    code: 'ERR_RPMA_USAGE',
    class: 'RpmaError',
    scope: 'operation',
    retryable: false,
    message: 'the region was not registered for this use',
  },
  {
    code: 'ERR_RPMA_FOREIGN',
    class: 'RpmaError',
    scope: 'operation',
    retryable: false,
    message: 'the object belongs to another peer',
  },
  {
    code: 'ERR_RPMA_STATE',
    class: 'RpmaError',
    scope: 'operation',
    retryable: false,
    message: 'the object is not in a state that allows this',
  },
  {
    code: 'ERR_RPMA_CLOSED',
    class: 'RpmaError',
    scope: 'operation',
    retryable: false,
    message: 'the object is closed',
  },
  {
    code: 'ERR_RPMA_BUSY',
    class: 'RpmaError',
    scope: 'operation',
    retryable: false,
    message: 'the object is in use',
  },
  {
    code: 'ERR_RPMA_QUEUE_CLAIMED',
    class: 'RpmaError',
    scope: 'operation',
    retryable: false,
    message: 'the completion queue is consumed by the other tier',
  },
  {
    code: 'ERR_RPMA_AGAIN',
    class: 'RpmaError',
    scope: 'operation',
    retryable: true,
    message: 'a queue is full; try again after a completion',
  },
  {
    code: 'ERR_RPMA_NO_MEMORY',
    class: 'RpmaError',
    scope: 'operation',
    retryable: false,
    message: 'out of memory',
  },
  {
    code: 'ERR_RPMA_LIMIT',
    class: 'RpmaError',
    scope: 'operation',
    retryable: false,
    message: 'a limit of the system or the device was reached',
  },
  {
    code: 'ERR_RPMA_NOT_SUPPORTED',
    class: 'RpmaError',
    scope: 'operation',
    retryable: false,
    message: 'not supported by this provider or connection',
  },
  {
    code: 'ERR_RPMA_NOT_PERSISTENT',
    class: 'RpmaError',
    scope: 'operation',
    retryable: false,
    message: 'the memory has no persistent domain',
  },
  {
    code: 'ERR_RPMA_MISSING_LIBRARY',
    class: 'RpmaError',
    scope: 'peer',
    retryable: false,
    message: 'a library is missing',
  },
  {
    code: 'ERR_RPMA_REJECTED',
    class: 'RpmaError',
    scope: 'connection',
    retryable: false,
    message: 'the other side rejected the connection',
  },
  {
    code: 'ERR_RPMA_UNREACHABLE',
    class: 'RpmaError',
    scope: 'connection',
    retryable: false,
    message: 'the other side did not answer',
  },
  {
    code: 'ERR_RPMA_CONNECTION_LOST',
    class: 'RpmaError',
    scope: 'connection',
    retryable: false,
    message: 'the connection was lost',
  },
  {
    code: 'ERR_RPMA_TIMEOUT',
    class: 'RpmaError',
    scope: 'operation',
    retryable: false,
    message: 'the wait ended at its deadline; the operation may still happen',
  },
  {
    code: 'ERR_RPMA_ABORTED',
    class: 'RpmaError',
    scope: 'operation',
    retryable: false,
    message: 'the wait was aborted; the operation may still happen',
  },
  {
    code: 'ERR_RPMA_PROVIDER',
    class: 'RpmaError',
    scope: 'operation',
    retryable: false,
    message: 'the provider failed',
  },
  {
    code: 'ERR_RPMA_WC_LENGTH',
    class: 'RpmaError',
    scope: 'connection',
    retryable: false,
    message: 'a message was longer than its receive',
  },
  {
    code: 'ERR_RPMA_WC_LOCAL_PROTECTION',
    class: 'RpmaError',
    scope: 'connection',
    retryable: false,
    message: 'local memory could not be accessed',
  },
  {
    code: 'ERR_RPMA_WC_FLUSHED',
    class: 'RpmaError',
    scope: 'operation',
    retryable: false,
    message: 'the connection ended before the operation was executed',
  },
  {
    code: 'ERR_RPMA_WC_REMOTE_ACCESS',
    class: 'RpmaError',
    scope: 'connection',
    retryable: false,
    message: 'the target refused access to its memory',
  },
  {
    code: 'ERR_RPMA_WC_REMOTE_INVALID',
    class: 'RpmaError',
    scope: 'connection',
    retryable: false,
    message: 'the target found the request invalid',
  },
  {
    code: 'ERR_RPMA_WC_REMOTE_OPERATION',
    class: 'RpmaError',
    scope: 'connection',
    retryable: false,
    message: 'the target failed to carry out the operation',
  },
  {
    code: 'ERR_RPMA_WC_RETRY',
    class: 'RpmaError',
    scope: 'connection',
    retryable: false,
    message: 'the target stopped answering',
  },
  {
    code: 'ERR_RPMA_WC_RNR_RETRY',
    class: 'RpmaError',
    scope: 'connection',
    retryable: false,
    message: 'the target posted no receive in time',
  },
  {
    code: 'ERR_RPMA_WC_PROVIDER',
    class: 'RpmaError',
    scope: 'connection',
    retryable: false,
    message: 'the provider failed the operation',
  },
  {
    code: 'ERR_RPMA_ABI_MISMATCH',
    class: 'RpmaError',
    scope: 'process',
    retryable: false,
    message: 'the native addon was built for another version; rebuild it',
  },
  {
    code: 'ERR_RPMA_INTERNAL',
    class: 'RpmaError',
    scope: 'process',
    retryable: false,
    message: 'a defect of rpma; please report it',
  },
  {
    code: 'ERR_RPMA_HAND_OVER',
    class: 'RpmaError',
    scope: 'operation',
    retryable: false,
    message: 'the ticket cannot be adopted',
  },
  {
    code: 'ERR_RPMA_SHARED_CHANNEL',
    class: 'RpmaError',
    scope: 'operation',
    retryable: false,
    message: 'the completion channel is shared: wait on it, not on the queue',
  },
] as const;

export type StatusCode =
  | 'ERR_RPMA_OK'
  | 'ERR_RPMA_INVALID_ARG_TYPE'
  | 'ERR_RPMA_INVALID_ARG_VALUE'
  | 'ERR_RPMA_OUT_OF_RANGE'
  | 'ERR_RPMA_ALIGNMENT'
  | 'ERR_RPMA_DESCRIPTOR'
  | 'ERR_RPMA_USAGE'
  | 'ERR_RPMA_FOREIGN'
  | 'ERR_RPMA_STATE'
  | 'ERR_RPMA_CLOSED'
  | 'ERR_RPMA_BUSY'
  | 'ERR_RPMA_QUEUE_CLAIMED'
  | 'ERR_RPMA_AGAIN'
  | 'ERR_RPMA_NO_MEMORY'
  | 'ERR_RPMA_LIMIT'
  | 'ERR_RPMA_NOT_SUPPORTED'
  | 'ERR_RPMA_NOT_PERSISTENT'
  | 'ERR_RPMA_MISSING_LIBRARY'
  | 'ERR_RPMA_REJECTED'
  | 'ERR_RPMA_UNREACHABLE'
  | 'ERR_RPMA_CONNECTION_LOST'
  | 'ERR_RPMA_TIMEOUT'
  | 'ERR_RPMA_ABORTED'
  | 'ERR_RPMA_PROVIDER'
  | 'ERR_RPMA_WC_LENGTH'
  | 'ERR_RPMA_WC_LOCAL_PROTECTION'
  | 'ERR_RPMA_WC_FLUSHED'
  | 'ERR_RPMA_WC_REMOTE_ACCESS'
  | 'ERR_RPMA_WC_REMOTE_INVALID'
  | 'ERR_RPMA_WC_REMOTE_OPERATION'
  | 'ERR_RPMA_WC_RETRY'
  | 'ERR_RPMA_WC_RNR_RETRY'
  | 'ERR_RPMA_WC_PROVIDER'
  | 'ERR_RPMA_ABI_MISMATCH'
  | 'ERR_RPMA_INTERNAL'
  | 'ERR_RPMA_HAND_OVER'
  | 'ERR_RPMA_SHARED_CHANNEL';

export type StatusClass = 'none' | 'TypeError' | 'RangeError' | 'RpmaError';
/** The largest thing that is permanently affected. */
export type StatusScope = 'operation' | 'connection' | 'endpoint' | 'peer' | 'process';

/** The numbers of the statuses. */
export const statusNumber = {
  ok: 0,
  invalidArgType: 1,
  invalidArgValue: 2,
  outOfRange: 3,
  alignment: 4,
  descriptor: 5,
  usage: 6,
  foreign: 7,
  state: 8,
  closed: 9,
  busy: 10,
  queueClaimed: 11,
  again: 12,
  noMemory: 13,
  limit: 14,
  notSupported: 15,
  notPersistent: 16,
  missingLibrary: 17,
  rejected: 18,
  unreachable: 19,
  connectionLost: 20,
  timeout: 21,
  aborted: 22,
  provider: 23,
  wcLength: 24,
  wcLocalProtection: 25,
  wcFlushed: 26,
  wcRemoteAccess: 27,
  wcRemoteInvalid: 28,
  wcRemoteOperation: 29,
  wcRetry: 30,
  wcRnrRetry: 31,
  wcProvider: 32,
  abiMismatch: 33,
  internal: 34,
  handOver: 35,
  sharedChannel: 36,
} as const;

export const operations = [
  'none',
  'read',
  'write',
  'atomic-write',
  'flush',
  'send',
  'receive',
  'receive-write',
] as const;

export type Operation = (typeof operations)[number];

export const operationNumber = {
  none: 0,
  read: 1,
  write: 2,
  atomicWrite: 3,
  flush: 4,
  send: 5,
  receive: 6,
  receiveWrite: 7,
} as const;

export const flushTypes = [
  'visibility',
  'persistent',
] as const;

export type FlushType = (typeof flushTypes)[number];

export const flushTypeNumber = {
  visibility: 0,
  persistent: 1,
} as const;

export const completionStatuses = [
  'success',
  'length',
  'local-protection',
  'flushed',
  'remote-access',
  'remote-invalid',
  'remote-operation',
  'retry',
  'rnr-retry',
  'provider',
] as const;

export type CompletionStatus = (typeof completionStatuses)[number];

export const completionStatusNumber = {
  success: 0,
  length: 1,
  localProtection: 2,
  flushed: 3,
  remoteAccess: 4,
  remoteInvalid: 5,
  remoteOperation: 6,
  retry: 7,
  rnrRetry: 8,
  provider: 9,
} as const;

export const durabilities = [
  'none',
  'persisted',
  'vouched',
  'volatile',
] as const;

export type Durability = (typeof durabilities)[number];

export const durabilityNumber = {
  none: 0,
  persisted: 1,
  vouched: 2,
  volatile: 3,
} as const;

export const connectionEvents = [
  'none',
  'established',
  'closed',
  'lost',
  'rejected',
  'unreachable',
  'device',
] as const;

export type ConnectionEvent = (typeof connectionEvents)[number];

export const connectionEventNumber = {
  none: 0,
  established: 1,
  closed: 2,
  lost: 3,
  rejected: 4,
  unreachable: 5,
  device: 6,
} as const;

export const connectionStates = [
  'connecting',
  'established',
  'closing',
  'closed',
] as const;

export type ConnectionState = (typeof connectionStates)[number];

export const connectionStateNumber = {
  connecting: 0,
  established: 1,
  closing: 2,
  closed: 3,
} as const;

export const readyKinds = [
  'none',
  'endpoint',
  'events',
  'completions',
  'epoll',
  'log',
] as const;

export type ReadyKind = (typeof readyKinds)[number];

export const readyKindNumber = {
  none: 0,
  endpoint: 1,
  events: 2,
  completions: 3,
  epoll: 4,
  log: 5,
} as const;

export const reportKinds = [
  'none',
  'accept-paused',
  'setup-refused',
  'connection-refused',
  'address-slowed',
] as const;

export type ReportKind = (typeof reportKinds)[number];

export const reportKindNumber = {
  none: 0,
  acceptPaused: 1,
  setupRefused: 2,
  connectionRefused: 3,
  addressSlowed: 4,
} as const;

export const objectKinds = [
  'none',
  'peer',
  'region',
  'file',
  'endpoint',
  'connection',
  'queue',
  'readiness',
  'epoll',
  'sharedReceiveQueue',
] as const;

export type ObjectKind = (typeof objectKinds)[number];

export const objectKindNumber = {
  none: 0,
  peer: 1,
  region: 2,
  file: 3,
  endpoint: 4,
  connection: 5,
  queue: 6,
  readiness: 7,
  epoll: 8,
  sharedReceiveQueue: 9,
} as const;

export const ticketKinds = [
  'none',
  'peer',
  'region',
  'request',
  'connection',
] as const;

export type TicketKind = (typeof ticketKinds)[number];

export const ticketKindNumber = {
  none: 0,
  peer: 1,
  region: 2,
  request: 3,
  connection: 4,
} as const;

/** first byte of the iWARP extension's header; answers carry it + 0x80. */
export const extensionSubNumber = {
  flush: 1,
  atomicWrite: 2,
  sendImmediate: 3,
  flushAnswer: 129,
  atomicWriteAnswer: 130,
} as const;

export const extensionTypeNumber = {
  visibility: 0,
  persistent: 1,
} as const;

export const extensionStatusNumber = {
  success: 0,
  remoteAccess: 1,
  remoteInvalid: 2,
  remoteOperation: 3,
} as const;

export const pmemDurabilities = [
  'memory',
  'storage',
  'pmem',
] as const;

export type PmemDurability = (typeof pmemDurabilities)[number];

export const pmemDurabilityNumber = {
  memory: 0,
  storage: 1,
  pmem: 2,
} as const;

export const adviceKinds = [
  'prefetch',
  'prefetch-write',
  'prefetch-no-fault',
] as const;

export type AdviceKind = (typeof adviceKinds)[number];

export const adviceKindNumber = {
  prefetch: 0,
  prefetchWrite: 1,
  prefetchNoFault: 2,
} as const;

export const logLevels = [
  'disabled',
  'fatal',
  'error',
  'warning',
  'notice',
  'info',
  'debug',
] as const;

export type LogLevel = (typeof logLevels)[number];

export const logLevelNumber = {
  disabled: 0,
  fatal: 1,
  error: 2,
  warning: 3,
  notice: 4,
  info: 5,
  debug: 6,
} as const;

export const logThresholds = [
  'sink',
  'aux',
] as const;

export type LogThreshold = (typeof logThresholds)[number];

export const logThresholdNumber = {
  sink: 0,
  aux: 1,
} as const;

export const submissionFlags = {
  signalled: 1,
  immediate: 2,
} as const;

export const completionFlags = {
  immediate: 1,
  untouched: 2,
} as const;

export const epollFlags = {
  readable: 1,
  writable: 2,
  hangup: 4,
  error: 8,
} as const;

export const memoryUsage = {
  readSource: 1,
  readDestination: 2,
  writeSource: 4,
  writeDestination: 8,
  flushVisibility: 16,
  flushPersistent: 32,
  send: 64,
  receive: 128,
} as const;

export const extensionCapabilities = {
  flush: 1,
  atomicWrite: 2,
  sendImmediate: 4,
  crc: 8,
} as const;

export const limits = {
  privateDataBytes: 251,
  privateDataBytesAccepted: 512,
  portablePrivateDataBytes: 56,
  descriptorBytes: 21,
  peerDescriptorBytes: 1,
  setupFrameBytes: 532,
  setupTimeoutMs: 5000,
  pendingSetups: 256,
  pendingSetupsPerAddress: 16,
  connections: 4096,
  unfetchedRequests: 128,
  acceptPauseMs: 100,
  slowedAddresses: 1024,
  slowedErrorsForgiven: 4,
  slowedStepMs: 50,
  slowedDelayMsMax: 2000,
  slowedDecayMs: 5000,
  reportIntervalMs: 200,
  queueSize: 10,
  queueSizeMax: 65536,
  sharedReceiveQueueSize: 20,
  resolveTimeoutMs: 1000,
  connectTimeoutMs: 10000,
  closeTimeoutMs: 5000,
  deadPeerTimeoutMs: 10000,
  graceMs: 20,
  rejectLingerMs: 1000,
  lingeringSockets: 256,
  inboundReads: 32,
  outboundReads: 32,
  readsMax: 128,
  readBytesMax: 2147483647,
  messageBytesMax: 4294967295,
  frameBytesMax: 65536,
  parkedMessages: 16,
  parkedBytes: 65536,
  driveFrames: 64,
  driveBytes: 262144,
  inlineSendBytes: 32768,
  stagingBytes: 262144,
  stagingBuffers: 128,
  stagingReceiveBytesLeast: 69632,
  stagingSendBytesLeast: 16384,
  takeBackMs: 1,
  takesPerTurn: 64,
  connectionEvents: 8,
  syncWaitSliceMs: 50,
  epollEvents: 1024,
  drainMs: 1,
  persistSliceBytes: 262144,
  revokeGraceMs: 1000,
  evictGraceMs: 100,
  tickets: 1024,
  handOverTimeoutMs: 5000,
  promisesWaiting: 1024,
  submissionsPerCall: 64,
  completionsPerPoll: 256,
  readyPerDrain: 256,
  logRecords: 256,
  logMessageBytes: 240,
  extensionVersion: 1,
} as const;

/** One posted operation, JavaScript to native. Counts are float64 (safe integers), so one store writes each. Offsets in bytes. */
export const submissionLayout = {
  sizeBytes: 64,
  operation: 0,
  flags: 1,
  flushType: 2,
  reserved: 3,
  remoteKey: 4,
  id: 8,
  localRegion: 16,
  localOffset: 24,
  remoteBaseLow: 32,
  remoteBaseHigh: 36,
  remoteOffset: 40,
  length: 48,
  value: 56,
} as const;

/** One completion, native to JavaScript. Offsets in bytes. */
export const completionLayout = {
  sizeBytes: 32,
  id: 0,
  operation: 8,
  status: 9,
  durability: 10,
  flags: 11,
  queuePairNumber: 12,
  length: 16,
  immediate: 20,
  providerError: 24,
  reserved: 28,
} as const;

/** One object that has something, native to JavaScript, after a wake-up. Offsets in bytes. */
export const readyLayout = {
  sizeBytes: 16,
  handle: 0,
  kind: 8,
  reserved: 12,
} as const;

/** One descriptor of an Epoll that is ready, native to JavaScript. Offsets in bytes. */
export const epollEventLayout = {
  sizeBytes: 16,
  id: 0,
  flags: 8,
  reserved: 12,
} as const;
