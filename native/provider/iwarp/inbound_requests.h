// SPDX-License-Identifier: BSD-3-Clause
//
// Requests of the other side that we owe an answer: Reads, flushes and atomic writes, at most IRD
// of them. They are executed in order and answered in order; the receive path pushes, the send path
// answers, and neither waits for the other. While a persist runs, what stands behind it waits here.
//
//     head_ ......... begun_ ......... executed_ ........... tail_
//     | being answered | ready to answer | being or to be done |
//
// One lock of its own, taken below the queue pair's locks; execution happens under it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "core/array.h"
#include "memory/persist.h"
#include "memory/persist_service.h"
#include "memory/region_table.h"
#include "provider/iwarp/progress_thread.h"
#include "provider/statistics.h"

namespace rpma::iwarp {

/** A range of a target that a persist must cover. */
struct PersistRange {
  std::shared_ptr<memory::PersistTarget> target;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  std::shared_ptr<memory::RegionUse> use;  // while it is persisted no region goes
};

struct InboundRequest {
  enum class Kind : std::uint8_t { Read, Flush, AtomicWrite };
  Kind kind = Kind::Read;
  memory::RegionUse use;  // held until the answer is sent; empty for a length of 0
  std::byte* data = nullptr;
  std::uint64_t length = 0;
  std::uint32_t sink_stag = 0;  // of a Read
  std::uint64_t sink_offset = 0;
  std::uint32_t id = 0;  // of a flush or atomic write
  std::array<std::uint8_t, 8> value{};
  std::vector<PersistRange> persist;  // before it is answered

  abi::ExtensionStatus status = abi::ExtensionStatus::Success;
  abi::Durability durability = abi::Durability::None;
  int error = 0;
};

/** What execution needs of its queue pair. */
class InboundHost {
 public:
  virtual ~InboundHost() = default;
  /** An answer became ready on a thread that is not driving; any thread, no lock held. */
  virtual void inbound_ready() = 0;
};

class InboundRequests : public std::enable_shared_from_this<InboundRequests> {
 public:
  // Answers that can be built ahead of TCP: the transmitter's window and the one being cut.
  static constexpr std::size_t kBegunMax = 32;

  InboundRequests(std::uint32_t capacity, std::weak_ptr<InboundHost> host,
                  std::shared_ptr<ProgressThread> progress,
                  std::shared_ptr<memory::PersistService> persist,
                  std::shared_ptr<provider::ConnectionCounts> counts);
  /** False when there was no memory for its slots: then it must not be used. */
  [[nodiscard]] bool made() const { return slots_.made(); }

  /** False when `capacity` wait already: more than we agreed to serve. */
  bool push(InboundRequest request);
  /** Executes what can be executed now; true when an answer became ready. */
  bool advance();

  /** Send path: the next request whose answer is ready, now begun; null when there is none. */
  InboundRequest* begin_answer();
  /** The oldest answer's last byte is TCP's. True when it reported a failure, which ends us. */
  bool answered();

  /** A request failed. Nothing behind it is executed, and whatever ends us next, this is why. */
  [[nodiscard]] bool failed() const;
  [[nodiscard]] bool empty() const;
  /** Whether an answer that is owed uses the region. */
  [[nodiscard]] bool uses(const memory::Region* region) const;
  /** The end: nothing more is answered. A running persist is let go of. */
  void clear();

 private:
  bool advance_locked();
  bool execute(InboundRequest& request);
  bool start_persist(InboundRequest& request);
  void submit_next_range(InboundRequest& request);
  void slice(std::uint64_t sequence, memory::PersistSlices slices,
             std::shared_ptr<memory::RegionUse> use);
  void persisted(std::uint64_t sequence, const core::Status& status);
  InboundRequest& slot(std::uint64_t sequence) { return slots_[sequence % slots_.size()]; }

  const std::weak_ptr<InboundHost> host_;
  const std::shared_ptr<ProgressThread> progress_;
  const std::shared_ptr<memory::PersistService> persist_;
  const std::shared_ptr<provider::ConnectionCounts> counts_;  // a persist may outlive the rest

  const std::uint32_t inbound_reads_;

  mutable std::mutex mutex_;  // guards what follows
  core::Array<InboundRequest> slots_;
  std::uint64_t head_ = 0;
  std::uint64_t begun_ = 0;
  std::uint64_t executed_ = 0;
  std::uint64_t tail_ = 0;
  bool persisting_ = false;           // the request at executed_ waits for a persist
  std::size_t reads_unanswered_ = 0;  // executed, their bytes not all TCP's
  bool failed_ = false;
  bool cleared_ = false;
};

}  // namespace rpma::iwarp
