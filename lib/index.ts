// SPDX-License-Identifier: BSD-3-Clause
//
// The entry `rpma`: every public name, and nothing else.

export { CompletionBatch, completionError } from './completion.js';
export { CompletionQueue } from './completion-queue.js';
export {
  ConnectionConfig,
  type ConnectionOptions,
  type NativeFeature,
} from './connection-config.js';
export { ConnectionRequest, IncomingRequest, OutgoingRequest } from './connection-request.js';
export { Connection } from './connection.js';
export { devices, versions } from './devices.js';
export { Endpoint } from './endpoint.js';
export { Epoll } from './epoll.js';
export {
  type ErrorScope,
  isRpmaError,
  RpmaError,
  type RpmaErrorCode,
  type RpmaErrorOptions,
} from './errors.js';
export { MemoryRegion } from './memory-region.js';
export { OperationBatch } from './operation-batch.js';
export { PeerConfig, type PeerConfigOptions } from './peer-config.js';
export { type ConnectOptions, type ListenOptions, Peer, type PeerOptions } from './peer.js';
export { PmemFile, type PmemMapOptions } from './pmem-file.js';
export { RemoteRegion } from './remote-region.js';
export { SharedReceiveQueue } from './shared-receive-queue.js';
export {
  type AtomicWriteOperation,
  type Capabilities,
  type Completion,
  type CompletionStatus,
  type ConnectionChoice,
  type ConnectionEvent,
  type ConnectionState,
  type DeviceInfo,
  type Durability,
  type DurableResult,
  type EmptyPart,
  type EndpointLimits,
  type EpollEvent,
  type EpollInterest,
  type FlushOperation,
  type FlushType,
  type Guarantee,
  type GuaranteeChoice,
  type HandOverOptions,
  type HandOverTicket,
  type ImmediatePart,
  type LengthPart,
  type LocalPart,
  type Memory,
  MemoryUsage,
  type Operation,
  type Pollable,
  type PostOptions,
  type PrivateDataChoice,
  type ProviderName,
  type ReceiveOperation,
  type ReceiveResult,
  type RegionAdvice,
  type RegisterOptions,
  type RemotePart,
  type SendOperation,
  type SharedReceiveQueueOptions,
  type Source,
  type TransferOperation,
  type WaitOptions,
  type WriteOperation,
} from './types.js';
