// SPDX-License-Identifier: BSD-3-Clause
//
// See inbound_requests.h.
#include "provider/iwarp/inbound_requests.h"

#include "core/assert.h"
#include "core/fault_points.h"
#include "memory/guarded_copy.h"

namespace rpma::iwarp {
namespace {

provider::Statistic served(InboundRequest::Kind kind) {
  if (kind == InboundRequest::Kind::Read) return provider::Statistic::ReadsServed;
  return kind == InboundRequest::Kind::Flush ? provider::Statistic::FlushesServed
                                             : provider::Statistic::AtomicWritesServed;
}

}  // namespace

InboundRequests::InboundRequests(std::uint32_t capacity, std::weak_ptr<InboundHost> host,
                                 std::shared_ptr<ProgressThread> progress,
                                 std::shared_ptr<memory::PersistService> persist,
                                 std::shared_ptr<provider::ConnectionCounts> counts)
    : host_(std::move(host)),
      progress_(std::move(progress)),
      persist_(std::move(persist)),
      counts_(std::move(counts)),
      inbound_reads_(capacity),
      slots_(RPMA_FAULT_POINT("iwarp.inbound-slots"), capacity + kBegunMax) {}

bool InboundRequests::push(InboundRequest request) {
  const std::lock_guard lock(mutex_);
  if (cleared_) return true;
  // What is begun may be on the wire already, and its answer may have let the other side ask again
  // before we came to count it as answered.
  if (tail_ - begun_ >= inbound_reads_ || tail_ - head_ >= slots_.size()) return false;
  slot(tail_) = std::move(request);
  ++tail_;
  return true;
}

bool InboundRequests::advance() {
  const std::lock_guard lock(mutex_);
  return advance_locked();
}

bool InboundRequests::advance_locked() {
  bool ready = false;
  // Behind a failure nothing happens any more: an atomic write must not publish what a flush before
  // it could not make durable.
  while (!cleared_ && !persisting_ && !failed_ && executed_ != tail_) {
    InboundRequest& next = slot(executed_);
    if (!execute(next)) break;
    if (next.kind == InboundRequest::Kind::Read) ++reads_unanswered_;
    ++executed_;
    ready = true;
  }
  return ready;
}

bool InboundRequests::execute(InboundRequest& request) {
  if (!request.persist.empty()) return start_persist(request);
  if (request.kind == InboundRequest::Kind::AtomicWrite) {
    // An earlier Read must not see it, and its bytes are taken only as they are sent.
    if (reads_unanswered_ > 0) return false;
    const std::uint8_t(&value)[8] =
        *reinterpret_cast<const std::uint8_t(*)[8]>(request.value.data());
    if (!memory::store_atomic_write(request.data, value, request.use->guarded())) {
      request.use->poison();
      request.status = abi::ExtensionStatus::RemoteOperation;
      request.error = EFAULT;
      failed_ = true;
    }
    return true;
  }
  // A visibility flush needs nothing more: memory is coherent, and everything earlier was stored by
  // threads that held the driver's lock before us.
  return true;
}

bool InboundRequests::start_persist(InboundRequest& request) {
  persisting_ = true;
  counts_->add(provider::Statistic::Persists, request.persist.size());
  submit_next_range(request);
  return false;
}

void InboundRequests::submit_next_range(InboundRequest& request) {
  const PersistRange range = request.persist.back();
  request.persist.pop_back();
  const std::uint64_t sequence = executed_;
  const std::shared_ptr<InboundRequests> self = shared_from_this();
  if (range.target->runs_inline()) {
    // Processor instructions: in slices on the progress thread, which serves others in between.
    progress_->post([self, sequence, range] {
      self->slice(sequence, memory::PersistSlices(range.target, range.offset, range.length),
                  range.use);
    });
    return;
  }
  const core::Status status = persist_->submit(
      range.target, range.offset, range.length,
      [self, sequence, use = range.use](core::Status done) { self->persisted(sequence, done); });
  if (!status.ok()) {
    // Answered from a task, because the lock is held here.
    progress_->post([self, sequence, status] { self->persisted(sequence, status); });
  }
}

void InboundRequests::slice(std::uint64_t sequence, memory::PersistSlices slices,
                            std::shared_ptr<memory::RegionUse> use) {
  {
    const std::lock_guard lock(mutex_);
    if (cleared_) return;  // nobody waits for the rest
  }
  const core::Status status = slices.finished() ? core::Status::success() : slices.step();
  if (!status.ok() || slices.finished()) return persisted(sequence, status);
  const std::shared_ptr<InboundRequests> self = shared_from_this();
  progress_->post([self, sequence, slices, use] { self->slice(sequence, slices, use); });
}

void InboundRequests::persisted(std::uint64_t sequence, const core::Status& status) {
  {
    const std::lock_guard lock(mutex_);
    if (cleared_) return;
    RPMA_ASSERT(persisting_ && sequence == executed_);
    InboundRequest& request = slot(sequence);
    if (status.ok() && !request.persist.empty()) return submit_next_range(request);
    persisting_ = false;
    if (!status.ok()) {
      counts_->add(provider::Statistic::PersistFailures);
      request.persist.clear();
      request.status = abi::ExtensionStatus::RemoteOperation;
      request.durability = abi::Durability::None;
      request.error = status.sys_errno != 0 ? status.sys_errno : EIO;
      failed_ = true;
    }
    if (request.kind == InboundRequest::Kind::Read) ++reads_unanswered_;
    ++executed_;
  }
  advance();
  if (const std::shared_ptr<InboundHost> host = host_.lock()) host->inbound_ready();
}

InboundRequest* InboundRequests::begin_answer() {
  const std::lock_guard lock(mutex_);
  return begun_ == executed_ ? nullptr : &slot(begun_++);
}

bool InboundRequests::answered() {
  const std::lock_guard lock(mutex_);
  if (head_ == begun_) return false;  // cleared meanwhile
  InboundRequest& done = slot(head_);
  const bool failed = done.status != abi::ExtensionStatus::Success;
  if (done.kind == InboundRequest::Kind::Read) --reads_unanswered_;
  counts_->add(served(done.kind));
  done = InboundRequest{};
  ++head_;
  // What waited for this answer is ready to be sent by the same turn.
  static_cast<void>(advance_locked());
  return failed;
}

bool InboundRequests::failed() const {
  const std::lock_guard lock(mutex_);
  return failed_;
}

bool InboundRequests::empty() const {
  const std::lock_guard lock(mutex_);
  return head_ == tail_;
}

bool InboundRequests::uses(const memory::Region* region) const {
  const std::lock_guard lock(mutex_);
  for (std::uint64_t sequence = head_; sequence != tail_; ++sequence) {
    if (slots_[sequence % slots_.size()].use.region().get() == region) return true;
  }
  return false;
}

void InboundRequests::clear() {
  const std::lock_guard lock(mutex_);
  cleared_ = true;
  for (std::uint64_t sequence = head_; sequence != tail_; ++sequence) slot(sequence) = {};
  head_ = begun_ = executed_ = tail_;
}

}  // namespace rpma::iwarp
