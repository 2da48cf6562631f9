// SPDX-License-Identifier: BSD-3-Clause
//
// Codes, enums, flags, limits and record layouts shared with TypeScript. Constants and plain
// data only: any thread may use them. Generated from abi/*.json by scripts/generate-abi.mjs;
// do not edit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace rpma::abi {

// Both sides carry this hash of abi/*.json; a binary with another one is refused.
inline constexpr const char* kAbiHash = "5f88577c1cf1043a";

enum class Code : std::uint16_t {
  Ok = 0,
  InvalidArgType = 1,
  InvalidArgValue = 2,
  OutOfRange = 3,
  Alignment = 4,
  Descriptor = 5,
  Usage = 6,
  Foreign = 7,
  State = 8,
  Closed = 9,
  Busy = 10,
  QueueClaimed = 11,
  Again = 12,
  NoMemory = 13,
  Limit = 14,
  NotSupported = 15,
  NotPersistent = 16,
  MissingLibrary = 17,
  Rejected = 18,
  Unreachable = 19,
  ConnectionLost = 20,
  Timeout = 21,
  Aborted = 22,
  Provider = 23,
  WcLength = 24,
  WcLocalProtection = 25,
  WcFlushed = 26,
  WcRemoteAccess = 27,
  WcRemoteInvalid = 28,
  WcRemoteOperation = 29,
  WcRetry = 30,
  WcRnrRetry = 31,
  WcProvider = 32,
  AbiMismatch = 33,
  Internal = 34,
  HandOver = 35,
  SharedChannel = 36,
};

inline constexpr std::size_t kCodeCount = 37;

inline constexpr const char* kCodeNames[kCodeCount] = {
    "ERR_RPMA_OK",
    "ERR_RPMA_INVALID_ARG_TYPE",
    "ERR_RPMA_INVALID_ARG_VALUE",
    "ERR_RPMA_OUT_OF_RANGE",
    "ERR_RPMA_ALIGNMENT",
    "ERR_RPMA_DESCRIPTOR",
    "ERR_RPMA_USAGE",
    "ERR_RPMA_FOREIGN",
    "ERR_RPMA_STATE",
    "ERR_RPMA_CLOSED",
    "ERR_RPMA_BUSY",
    "ERR_RPMA_QUEUE_CLAIMED",
    "ERR_RPMA_AGAIN",
    "ERR_RPMA_NO_MEMORY",
    "ERR_RPMA_LIMIT",
    "ERR_RPMA_NOT_SUPPORTED",
    "ERR_RPMA_NOT_PERSISTENT",
    "ERR_RPMA_MISSING_LIBRARY",
    "ERR_RPMA_REJECTED",
    "ERR_RPMA_UNREACHABLE",
    "ERR_RPMA_CONNECTION_LOST",
    "ERR_RPMA_TIMEOUT",
    "ERR_RPMA_ABORTED",
    "ERR_RPMA_PROVIDER",
    "ERR_RPMA_WC_LENGTH",
    "ERR_RPMA_WC_LOCAL_PROTECTION",
    "ERR_RPMA_WC_FLUSHED",
    "ERR_RPMA_WC_REMOTE_ACCESS",
    "ERR_RPMA_WC_REMOTE_INVALID",
    "ERR_RPMA_WC_REMOTE_OPERATION",
    "ERR_RPMA_WC_RETRY",
    "ERR_RPMA_WC_RNR_RETRY",
    "ERR_RPMA_WC_PROVIDER",
    "ERR_RPMA_ABI_MISMATCH",
    "ERR_RPMA_INTERNAL",
    "ERR_RPMA_HAND_OVER",
    "ERR_RPMA_SHARED_CHANNEL",
};

inline constexpr const char* kCodeMessages[kCodeCount] = {
    "success",
    "wrong type of argument",
    "unusable value of argument",
    "number or range out of bounds",
    "atomic write not on a multiple of 8 bytes",
    "malformed descriptor",
    "the region was not registered for this use",
    "the object belongs to another peer",
    "the object is not in a state that allows this",
    "the object is closed",
    "the object is in use",
    "the completion queue is consumed by the other tier",
    "a queue is full; try again after a completion",
    "out of memory",
    "a limit of the system or the device was reached",
    "not supported by this provider or connection",
    "the memory has no persistent domain",
    "a library is missing",
    "the other side rejected the connection",
    "the other side did not answer",
    "the connection was lost",
    "the wait ended at its deadline; the operation may still happen",
    "the wait was aborted; the operation may still happen",
    "the provider failed",
    "a message was longer than its receive",
    "local memory could not be accessed",
    "the connection ended before the operation was executed",
    "the target refused access to its memory",
    "the target found the request invalid",
    "the target failed to carry out the operation",
    "the target stopped answering",
    "the target posted no receive in time",
    "the provider failed the operation",
    "the native addon was built for another version; rebuild it",
    "a defect of rpma; please report it",
    "the ticket cannot be adopted",
    "the completion channel is shared: wait on it, not on the queue",
};

// A number outside the table is a defect of ours and reads as the internal error.
constexpr std::size_t code_index(Code code) {
  const auto number = static_cast<std::size_t>(code);
  return number < kCodeCount ? number : static_cast<std::size_t>(Code::Internal);
}

constexpr const char* code_name(Code code) { return kCodeNames[code_index(code)]; }

constexpr const char* code_message(Code code) {
  return kCodeMessages[code_index(code)];
}

enum class Operation : std::uint8_t {
  None = 0,
  Read = 1,
  Write = 2,
  AtomicWrite = 3,
  Flush = 4,
  Send = 5,
  Receive = 6,
  ReceiveWrite = 7,
};
inline constexpr std::size_t kOperationCount = 8;

enum class FlushType : std::uint8_t {
  Visibility = 0,
  Persistent = 1,
};
inline constexpr std::size_t kFlushTypeCount = 2;

enum class CompletionStatus : std::uint8_t {
  Success = 0,
  Length = 1,
  LocalProtection = 2,
  Flushed = 3,
  RemoteAccess = 4,
  RemoteInvalid = 5,
  RemoteOperation = 6,
  Retry = 7,
  RnrRetry = 8,
  Provider = 9,
};
inline constexpr std::size_t kCompletionStatusCount = 10;

enum class Durability : std::uint8_t {
  None = 0,
  Persisted = 1,
  Vouched = 2,
  Volatile = 3,
};
inline constexpr std::size_t kDurabilityCount = 4;

enum class ConnectionEvent : std::uint8_t {
  None = 0,
  Established = 1,
  Closed = 2,
  Lost = 3,
  Rejected = 4,
  Unreachable = 5,
  Device = 6,
};
inline constexpr std::size_t kConnectionEventCount = 7;

enum class ConnectionState : std::uint8_t {
  Connecting = 0,
  Established = 1,
  Closing = 2,
  Closed = 3,
};
inline constexpr std::size_t kConnectionStateCount = 4;

enum class ReadyKind : std::uint8_t {
  None = 0,
  Endpoint = 1,
  Events = 2,
  Completions = 3,
  Epoll = 4,
  Log = 5,
};
inline constexpr std::size_t kReadyKindCount = 6;

enum class ReportKind : std::uint8_t {
  None = 0,
  AcceptPaused = 1,
  SetupRefused = 2,
  ConnectionRefused = 3,
  AddressSlowed = 4,
};
inline constexpr std::size_t kReportKindCount = 5;

enum class ObjectKind : std::uint8_t {
  None = 0,
  Peer = 1,
  Region = 2,
  File = 3,
  Endpoint = 4,
  Connection = 5,
  Queue = 6,
  Readiness = 7,
  Epoll = 8,
  SharedReceiveQueue = 9,
};
inline constexpr std::size_t kObjectKindCount = 10;

enum class TicketKind : std::uint8_t {
  None = 0,
  Peer = 1,
  Region = 2,
  Request = 3,
  Connection = 4,
};
inline constexpr std::size_t kTicketKindCount = 5;

// first byte of the iWARP extension's header; answers carry it + 0x80
enum class ExtensionSub : std::uint8_t {
  Flush = 1,
  AtomicWrite = 2,
  SendImmediate = 3,
  FlushAnswer = 129,
  AtomicWriteAnswer = 130,
};

enum class ExtensionType : std::uint8_t {
  Visibility = 0,
  Persistent = 1,
};

enum class ExtensionStatus : std::uint8_t {
  Success = 0,
  RemoteAccess = 1,
  RemoteInvalid = 2,
  RemoteOperation = 3,
};

enum class PmemDurability : std::uint8_t {
  Memory = 0,
  Storage = 1,
  Pmem = 2,
};
inline constexpr std::size_t kPmemDurabilityCount = 3;

enum class AdviceKind : std::uint8_t {
  Prefetch = 0,
  PrefetchWrite = 1,
  PrefetchNoFault = 2,
};
inline constexpr std::size_t kAdviceKindCount = 3;

enum class LogLevel : std::uint8_t {
  Disabled = 0,
  Fatal = 1,
  Error = 2,
  Warning = 3,
  Notice = 4,
  Info = 5,
  Debug = 6,
};
inline constexpr std::size_t kLogLevelCount = 7;

enum class LogThreshold : std::uint8_t {
  Sink = 0,
  Aux = 1,
};
inline constexpr std::size_t kLogThresholdCount = 2;

inline constexpr std::uint32_t kSubmissionFlagsSignalled = 1;
inline constexpr std::uint32_t kSubmissionFlagsImmediate = 2;

inline constexpr std::uint32_t kCompletionFlagsImmediate = 1;
inline constexpr std::uint32_t kCompletionFlagsUntouched = 2;

inline constexpr std::uint32_t kEpollFlagsReadable = 1;
inline constexpr std::uint32_t kEpollFlagsWritable = 2;
inline constexpr std::uint32_t kEpollFlagsHangup = 4;
inline constexpr std::uint32_t kEpollFlagsError = 8;

inline constexpr std::uint32_t kMemoryUsageReadSource = 1;
inline constexpr std::uint32_t kMemoryUsageReadDestination = 2;
inline constexpr std::uint32_t kMemoryUsageWriteSource = 4;
inline constexpr std::uint32_t kMemoryUsageWriteDestination = 8;
inline constexpr std::uint32_t kMemoryUsageFlushVisibility = 16;
inline constexpr std::uint32_t kMemoryUsageFlushPersistent = 32;
inline constexpr std::uint32_t kMemoryUsageSend = 64;
inline constexpr std::uint32_t kMemoryUsageReceive = 128;

inline constexpr std::uint32_t kExtensionCapabilitiesFlush = 1;
inline constexpr std::uint32_t kExtensionCapabilitiesAtomicWrite = 2;
inline constexpr std::uint32_t kExtensionCapabilitiesSendImmediate = 4;
inline constexpr std::uint32_t kExtensionCapabilitiesCrc = 8;

inline constexpr std::uint64_t kPrivateDataBytes = 251u;
inline constexpr std::uint64_t kPrivateDataBytesAccepted = 512u;
inline constexpr std::uint64_t kPortablePrivateDataBytes = 56u;
inline constexpr std::uint64_t kDescriptorBytes = 21u;
inline constexpr std::uint64_t kPeerDescriptorBytes = 1u;
inline constexpr std::uint64_t kSetupFrameBytes = 532u;
inline constexpr std::uint64_t kSetupTimeoutMs = 5000u;
inline constexpr std::uint64_t kPendingSetups = 256u;
inline constexpr std::uint64_t kPendingSetupsPerAddress = 16u;
inline constexpr std::uint64_t kConnections = 4096u;
inline constexpr std::uint64_t kUnfetchedRequests = 128u;
inline constexpr std::uint64_t kAcceptPauseMs = 100u;
inline constexpr std::uint64_t kSlowedAddresses = 1024u;
inline constexpr std::uint64_t kSlowedErrorsForgiven = 4u;
inline constexpr std::uint64_t kSlowedStepMs = 50u;
inline constexpr std::uint64_t kSlowedDelayMsMax = 2000u;
inline constexpr std::uint64_t kSlowedDecayMs = 5000u;
inline constexpr std::uint64_t kReportIntervalMs = 200u;
inline constexpr std::uint64_t kQueueSize = 10u;
inline constexpr std::uint64_t kQueueSizeMax = 65536u;
inline constexpr std::uint64_t kSharedReceiveQueueSize = 20u;
inline constexpr std::uint64_t kResolveTimeoutMs = 1000u;
inline constexpr std::uint64_t kConnectTimeoutMs = 10000u;
inline constexpr std::uint64_t kCloseTimeoutMs = 5000u;
inline constexpr std::uint64_t kDeadPeerTimeoutMs = 10000u;
inline constexpr std::uint64_t kGraceMs = 20u;
inline constexpr std::uint64_t kRejectLingerMs = 1000u;
inline constexpr std::uint64_t kLingeringSockets = 256u;
inline constexpr std::uint64_t kInboundReads = 32u;
inline constexpr std::uint64_t kOutboundReads = 32u;
inline constexpr std::uint64_t kReadsMax = 128u;
inline constexpr std::uint64_t kReadBytesMax = 2147483647u;
inline constexpr std::uint64_t kMessageBytesMax = 4294967295u;
inline constexpr std::uint64_t kFrameBytesMax = 65536u;
inline constexpr std::uint64_t kParkedMessages = 16u;
inline constexpr std::uint64_t kParkedBytes = 65536u;
inline constexpr std::uint64_t kDriveFrames = 64u;
inline constexpr std::uint64_t kDriveBytes = 262144u;
inline constexpr std::uint64_t kInlineSendBytes = 32768u;
inline constexpr std::uint64_t kStagingBytes = 262144u;
inline constexpr std::uint64_t kStagingBuffers = 128u;
inline constexpr std::uint64_t kStagingReceiveBytesLeast = 69632u;
inline constexpr std::uint64_t kStagingSendBytesLeast = 16384u;
inline constexpr std::uint64_t kTakeBackMs = 1u;
inline constexpr std::uint64_t kTakesPerTurn = 64u;
inline constexpr std::uint64_t kConnectionEvents = 8u;
inline constexpr std::uint64_t kSyncWaitSliceMs = 50u;
inline constexpr std::uint64_t kEpollEvents = 1024u;
inline constexpr std::uint64_t kDrainMs = 1u;
inline constexpr std::uint64_t kPersistSliceBytes = 262144u;
inline constexpr std::uint64_t kRevokeGraceMs = 1000u;
inline constexpr std::uint64_t kEvictGraceMs = 100u;
inline constexpr std::uint64_t kTickets = 1024u;
inline constexpr std::uint64_t kHandOverTimeoutMs = 5000u;
inline constexpr std::uint64_t kPromisesWaiting = 1024u;
inline constexpr std::uint64_t kSubmissionsPerCall = 64u;
inline constexpr std::uint64_t kCompletionsPerPoll = 256u;
inline constexpr std::uint64_t kReadyPerDrain = 256u;
inline constexpr std::uint64_t kLogRecords = 256u;
inline constexpr std::uint64_t kLogMessageBytes = 240u;
inline constexpr std::uint64_t kExtensionVersion = 1u;

// One posted operation, JavaScript to native. Counts are float64 (safe integers), so one store writes each.
struct Submission {
  std::uint8_t operation;  // enum operation
  std::uint8_t flags;  // submissionFlags
  std::uint8_t flush_type;  // enum flushType, of a flush
  std::uint8_t reserved;  // zero
  std::uint32_t remote_key;  // key of the remote region
  double id;  // comes back in the completion
  double local_region;  // handle of the local region; 0 when there is none
  double local_offset;  // bytes
  std::uint32_t remote_base_low;  // low half of the remote region's base address
  std::uint32_t remote_base_high;  // high half
  double remote_offset;  // bytes
  double length;  // bytes
  std::uint8_t value[8];  // an atomic write's 8 bytes as they shall lie in memory; with the flag a u32 of immediate data, in host order
};
static_assert(sizeof(Submission) == 64);
static_assert(std::is_trivially_copyable_v<Submission>);
static_assert(offsetof(Submission, operation) == 0);
static_assert(offsetof(Submission, flags) == 1);
static_assert(offsetof(Submission, flush_type) == 2);
static_assert(offsetof(Submission, reserved) == 3);
static_assert(offsetof(Submission, remote_key) == 4);
static_assert(offsetof(Submission, id) == 8);
static_assert(offsetof(Submission, local_region) == 16);
static_assert(offsetof(Submission, local_offset) == 24);
static_assert(offsetof(Submission, remote_base_low) == 32);
static_assert(offsetof(Submission, remote_base_high) == 36);
static_assert(offsetof(Submission, remote_offset) == 40);
static_assert(offsetof(Submission, length) == 48);
static_assert(offsetof(Submission, value) == 56);

// One completion, native to JavaScript.
struct Completion {
  double id;  // as posted
  std::uint8_t operation;  // enum operation: as posted
  std::uint8_t status;  // enum completionStatus
  std::uint8_t durability;  // enum durability
  std::uint8_t flags;  // completionFlags
  std::uint32_t queue_pair_number;
  std::uint32_t length;  // bytes received, of receives
  std::uint32_t immediate;  // valid with the flag
  std::int32_t provider_error;  // errno of the cause, 0 when none
  std::uint32_t reserved;  // zero
};
static_assert(sizeof(Completion) == 32);
static_assert(std::is_trivially_copyable_v<Completion>);
static_assert(offsetof(Completion, id) == 0);
static_assert(offsetof(Completion, operation) == 8);
static_assert(offsetof(Completion, status) == 9);
static_assert(offsetof(Completion, durability) == 10);
static_assert(offsetof(Completion, flags) == 11);
static_assert(offsetof(Completion, queue_pair_number) == 12);
static_assert(offsetof(Completion, length) == 16);
static_assert(offsetof(Completion, immediate) == 20);
static_assert(offsetof(Completion, provider_error) == 24);
static_assert(offsetof(Completion, reserved) == 28);

// One object that has something, native to JavaScript, after a wake-up.
struct Ready {
  double handle;  // the object
  std::uint32_t kind;  // enum readyKind
  std::uint32_t reserved;  // zero
};
static_assert(sizeof(Ready) == 16);
static_assert(std::is_trivially_copyable_v<Ready>);
static_assert(offsetof(Ready, handle) == 0);
static_assert(offsetof(Ready, kind) == 8);
static_assert(offsetof(Ready, reserved) == 12);

// One descriptor of an Epoll that is ready, native to JavaScript.
struct EpollEvent {
  double id;  // as given when it was added
  std::uint32_t flags;  // epollFlags
  std::uint32_t reserved;  // zero
};
static_assert(sizeof(EpollEvent) == 16);
static_assert(std::is_trivially_copyable_v<EpollEvent>);
static_assert(offsetof(EpollEvent, id) == 0);
static_assert(offsetof(EpollEvent, flags) == 8);
static_assert(offsetof(EpollEvent, reserved) == 12);

}  // namespace rpma::abi
