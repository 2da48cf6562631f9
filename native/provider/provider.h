// SPDX-License-Identifier: BSD-3-Clause
//
// The contract between the layers above and every provider: the objects of verbs (device,
// completion queue, shared receive queue, listener, incoming request, queue pair) and what may be
// asked of them. A
// provider advertises capabilities; the choice between a native operation and its emulation is made
// above, once, when a connection is established. Objects are shared (std::shared_ptr) because a
// progress thread and the threads of the program use them at once; unless a comment says otherwise
// every method may be called from any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "abi.generated.h"
#include "core/result.h"
#include "core/status.h"
#include "memory/region_table.h"
#include "provider/statistics.h"

namespace rpma::provider {

using core::Result;
using core::Status;

/** Called from any thread when an armed object has something. It must not block nor call back. */
class Notifier {
 public:
  virtual ~Notifier() = default;
  virtual void notify(std::uint64_t token) = 0;
};

/** Where a notification goes. The notifier outlives the objects that point to it. */
struct NotifyTarget {
  std::shared_ptr<Notifier> notifier;
  std::uint64_t token = 0;
  void notify() const {
    if (notifier) notifier->notify(token);
  }
};

struct Capabilities {
  bool native_flush = false;
  bool native_atomic_write = false;
  bool persistent_flush = false;  // native: the target's side persists by itself
  bool immediate_data = false;
  bool shared_receive_queue = false;
  bool background_progress = false;
  bool on_demand_paging = false;
  bool region_advice = false;
  std::uint64_t max_message_bytes = 0;
  std::uint32_t max_private_data_bytes = 0;
  std::uint32_t max_queue_entries = 0;
  std::uint32_t max_inline_bytes = 0;
};

struct WorkRequest {
  std::uint64_t id = 0;
  abi::Operation posted =
      abi::Operation::None;  // what the program asked for; the completion's word
  abi::Operation carrier =
      abi::Operation::None;     // what carries it out: an emulated flush is a read
  bool signalled = true;        // false: a completion only when it fails
  bool fence = false;           // wait until all earlier reads have completed
  bool inline_value = false;    // a write whose 8 bytes are `value`
  bool with_immediate = false;  // a write or send that carries `immediate`
  std::uint32_t immediate = 0;
  abi::FlushType flush_type = abi::FlushType::Visibility;
  abi::Durability vouched = abi::Durability::None;  // durability of an emulated persistent flush
  std::shared_ptr<memory::Region> local;
  std::uint64_t local_offset = 0;
  std::uint64_t length = 0;
  std::uint32_t remote_key = 0;
  std::uint64_t remote_address = 0;
  std::array<std::uint8_t, 8> value{};
};

/** Its record layout is abi::Completion. */
using Completion = abi::Completion;

class CompletionQueue {
 public:
  virtual ~CompletionQueue() = default;
  /**
   * Takes up to `max` completions; one consumer at a time. Drives the queue pairs that the calling
   * thread has taken over when nothing is queued.
   */
  virtual std::uint32_t poll(Completion* out, std::uint32_t max) = 0;
  /** Asks for one notification; false (and no notification) when something is queued already. */
  virtual bool arm() = 0;
  virtual void set_notify(NotifyTarget target) = 0;
  virtual std::uint32_t capacity() const = 0;
  /**
   * True once nothing more will come: every queue pair it served has ended, and the shared receive
   * queue whose own it is is closed.
   */
  virtual bool over() const = 0;
  /** True once it is over and nothing is queued. */
  virtual bool drained() const = 0;
  /** The calling environment drives the queue pairs itself, see QueuePair::take_over. */
  virtual void take_over(int epoll_fd) = 0;
  /** Undoes take_over: nobody who drives looks at the queue any more. */
  virtual void give_back() = 0;
};

struct SharedReceiveQueueConfig {
  std::uint32_t size = abi::kSharedReceiveQueueSize;
  // Where all its receives complete; null: in the queue of the queue pair that takes one.
  std::shared_ptr<CompletionQueue> completions;
};

/**
 * Receives that several queue pairs take, in order, as messages come in; who found none is served
 * before who comes later. A completion names the queue pair that took it; its slot is free again
 * when it is consumed.
 */
class SharedReceiveQueue {
 public:
  virtual ~SharedReceiveQueue() = default;
  /** Again when full, Closed after close(). */
  virtual Status post_receive(const WorkRequest& request) = 0;
  virtual std::uint32_t receive_queue_free() const = 0;
  /** Its own completion queue, or null. */
  virtual const std::shared_ptr<CompletionQueue>& completions() const = 0;
  /**
   * Busy while a queue pair uses it that is not ending. Then what is posted completes as flushed,
   * in its own queue; without one it has no completion, as there is no queue for it. Idempotent.
   */
  virtual Status close() = 0;
  /** The same, whoever uses it: its peer ends. */
  virtual void destroy() = 0;
};

struct QueuePairConfig {
  std::uint32_t send_queue_size = 10;
  std::uint32_t receive_queue_size = 10;
  std::uint32_t inbound_reads = 32;
  std::uint32_t outbound_reads = 32;
  std::uint64_t connect_timeout_ms = 10'000;
  std::uint64_t close_timeout_ms = 5'000;
  std::uint64_t dead_peer_timeout_ms = 10'000;
  std::int64_t receiver_not_ready_timeout_ms = -1;  // -1: for ever, as librpma
  std::uint8_t crc = 1;                             // 0 off, 1 between our own kind, 2 required
  std::uint32_t max_frame_bytes = 0;                // 0 auto, 1 one MSS, else bytes
  std::uint32_t require_native = 0;                 // abi::kExtensionCapabilities* bits
  std::shared_ptr<CompletionQueue> send_completions;
  std::shared_ptr<CompletionQueue> receive_completions;
  // Instead of a receive queue of its own; its completion queue goes before receive_completions.
  std::shared_ptr<SharedReceiveQueue> shared_receive_queue;
};

struct Address {
  std::string host;  // a literal
  std::uint16_t port = 0;
};

struct Event {
  abi::ConnectionEvent type = abi::ConnectionEvent::None;
  Status cause;                            // of lost, rejected, unreachable
  std::vector<std::uint8_t> private_data;  // of established and rejected
};

/** Made before connect, with its queues; connects once. */
class QueuePair {
 public:
  virtual ~QueuePair() = default;

  /** Send-queue operations; Code::Again when full, Code::State unless established. */
  virtual Status post_send(const WorkRequest& request) = 0;
  /** Starts what earlier post_send calls left queued; one call after a batch of posts. */
  virtual void kick() = 0;
  /** Allowed in every state before the end; NotSupported with a shared receive queue. */
  virtual Status post_receive(const WorkRequest& request) = 0;
  virtual std::uint32_t send_queue_free() const = 0;
  virtual std::uint32_t receive_queue_free() const = 0;  // 0 with a shared receive queue
  /**
   * Asks for one notification, as an event's, once so many slots of the send queue are free; false
   * (and no notification) when they are free already. The newest call counts.
   */
  virtual bool watch_send_queue(std::uint32_t slots) = 0;

  /** Active side: starts connecting; the outcome is an event. */
  virtual Status connect(const Address& to, std::vector<std::uint8_t> private_data) = 0;

  virtual std::uint32_t number() const = 0;
  virtual Statistics statistics() const = 0;
  virtual abi::ConnectionState state() const = 0;
  /** Final once established. */
  virtual Capabilities capabilities() const = 0;
  virtual Address local_address() const = 0;
  virtual Address remote_address() const = 0;

  /** Events in order, each kept until read. */
  virtual std::optional<Event> next_event() = 0;
  virtual void set_notify(NotifyTarget target) = 0;  // one notification per event, see above

  /** Graceful end, bounded by close_timeout_ms; idempotent. */
  virtual void disconnect(std::uint64_t timeout_ms) = 0;
  /** Ends it now: accepted operations complete as flushed. */
  virtual void abort(Status reason) = 0;

  /**
   * The calling environment becomes the driver: the socket leaves the progress thread's set and,
   * unless epoll_fd is -1 (the caller polls), joins that epoll set with the queue pair's number as
   * data. The progress thread takes it back from a driver that did nothing for abi::kTakeBackMs.
   */
  virtual void take_over(int epoll_fd) = 0;
  /** The driver lets go of it for good: the progress thread drives until the next take_over. */
  virtual void give_back() = 0;
  /** Does waiting work within a budget; for the driver. Never waits for longer than the turn of
   * another thread that drives, never persists. */
  virtual void drive() = 0;
};

/** A connection that asks to come in. Dropped unanswered, it is rejected. */
class IncomingRequest {
 public:
  virtual ~IncomingRequest() = default;
  virtual const std::vector<std::uint8_t>& private_data() const = 0;
  virtual Address local_address() const = 0;
  virtual Address remote_address() const = 0;
  /** Makes the queue pair that accept() will bring up; receives may be posted to it before. */
  virtual Result<std::shared_ptr<QueuePair>> prepare(const QueuePairConfig& config) = 0;
  virtual Status accept(std::vector<std::uint8_t> private_data) = 0;
  virtual Status reject(std::vector<std::uint8_t> private_data) = 0;
};

struct ListenLimits {
  std::uint32_t pending_setups = abi::kPendingSetups;
  std::uint32_t pending_setups_per_address = abi::kPendingSetupsPerAddress;
  std::uint32_t connections = abi::kConnections;
  std::uint32_t unfetched_requests = abi::kUnfetchedRequests;
  int backlog = 0;  // 0: the system's maximum
};

/** Events of a listener that are no requests, counted since the last report of their kind. */
struct Report {
  abi::ReportKind kind = abi::ReportKind::None;
  std::uint64_t count = 0;
  std::string address;  // the source of the newest, where there is one
  Status cause;         // of the newest
};

class Listener {
 public:
  virtual ~Listener() = default;
  virtual Address address() const = 0;
  virtual std::shared_ptr<IncomingRequest> next() = 0;  // null when there is none
  virtual void set_notify(NotifyTarget target) = 0;     // one notification per request
  /** What was announced by a notification and not taken; bounded by the number of kinds. */
  virtual std::vector<Report> take_reports() = 0;
  /** Stops listening and rejects what was not fetched. Idempotent. */
  virtual void close() = 0;
};

struct DeviceOptions {
  std::uint64_t busy_poll_us = 0;
  bool direct_write_to_pmem = false;
};

/** A device and its protection domain. */
class Device {
 public:
  virtual ~Device() = default;
  virtual const char* name() const = 0;
  virtual Capabilities capabilities() const = 0;
  virtual Result<std::shared_ptr<memory::Region>> register_memory(
      memory::RegionOptions options) = 0;
  /** From the call no new access passes; `quiet` runs once, on any thread, when nothing uses it. */
  virtual void deregister(const std::shared_ptr<memory::Region>& region,
                          std::function<void()> quiet) = 0;
  /**
   * Of a deregistered region whose memory is about to go: what still uses it has abi::kEvictGraceMs
   * to finish, then its connections are aborted, and its receives in shared receive queues flushed.
   */
  virtual void evict(const std::shared_ptr<memory::Region>& region) = 0;
  /** Brings pages of a region in; blocks, so it is a pool thread's. NotSupported without it. */
  virtual Status advise(const memory::RegionUse& use, std::uint64_t offset, std::uint64_t length,
                        abi::AdviceKind kind) = 0;
  virtual Result<std::shared_ptr<CompletionQueue>> create_completion_queue(std::uint32_t size) = 0;
  /** The completion queue, if there is one, must be of this device and serve nothing else. */
  virtual Result<std::shared_ptr<SharedReceiveQueue>> create_shared_receive_queue(
      const SharedReceiveQueueConfig& config) = 0;
  virtual Result<std::shared_ptr<QueuePair>> create_queue_pair(const QueuePairConfig& config) = 0;
  virtual Result<std::shared_ptr<Listener>> listen(const Address& at,
                                                   const ListenLimits& limits) = 0;
  virtual PeerStatistics statistics() = 0;
  /** Aborts what is left, then stops and joins the threads. */
  virtual void close() = 0;
};

}  // namespace rpma::provider
