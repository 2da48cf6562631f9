// SPDX-License-Identifier: BSD-3-Clause
//
// See device.h.
#include "provider/iwarp/device.h"

#include <map>

#include "core/clock.h"
#include "memory/advise.h"
#include "memory/guarded_copy.h"
#include "provider/iwarp/completion_queue.h"
#include "provider/iwarp/listener.h"
#include "provider/iwarp/log.h"
#include "provider/iwarp/queue_pair.h"
#include "provider/iwarp/shared_receive_queue.h"

namespace rpma::iwarp {
namespace {

using Progress = std::map<std::uint32_t, std::uint64_t>;  // bytes sent, by queue pair

/**
 * An answer holds its region as long as the other side does not read. Looks once a second at what
 * is held up, and ends the connections whose other side took nothing since the last look.
 */
void watch_answers(const std::shared_ptr<DeviceContext>& context,
                   const std::shared_ptr<memory::Region>& region, const Progress& before) {
  Progress now;
  for (const std::shared_ptr<QueuePair>& queue_pair : context->queue_pairs()) {
    std::uint64_t sent = 0;
    if (!queue_pair->holds_up(region.get(), &sent)) continue;
    const auto last = before.find(queue_pair->number());
    if (last != before.end() && last->second == sent) {
      queue_pair->end_untaken();
    } else {
      now[queue_pair->number()] = sent;
    }
  }
  context->progress->add_timer(
      core::now_ns() + abi::kRevokeGraceMs * core::kNanosecondsPerMillisecond,
      [weak_context = std::weak_ptr(context), weak = std::weak_ptr(region), now] {
        const std::shared_ptr<memory::Region> held = weak.lock();
        const std::shared_ptr<DeviceContext> device = weak_context.lock();
        if (held && device && held->users() > 0) watch_answers(device, held, now);
      });
}

/** Once the grace is over, and again until nothing uses it: what was queued behind may come late.
 */
void evict_later(const std::shared_ptr<DeviceContext>& context,
                 const std::shared_ptr<memory::Region>& region) {
  context->progress->add_timer(
      core::now_ns() + abi::kEvictGraceMs * core::kNanosecondsPerMillisecond,
      [weak_context = std::weak_ptr(context), weak = std::weak_ptr(region)] {
        const std::shared_ptr<memory::Region> held = weak.lock();
        const std::shared_ptr<DeviceContext> device = weak_context.lock();
        if (!held || !device || held->users() == 0) return;
        const std::vector<std::shared_ptr<QueuePair>> queue_pairs = device->queue_pairs();
        for (const std::shared_ptr<SharedReceiveQueue>& queue : device->shared_receive_queues()) {
          queue->evict(held.get(), queue_pairs);
        }
        for (const std::shared_ptr<QueuePair>& queue_pair : queue_pairs) {
          if (!queue_pair->uses(held.get())) continue;
          RPMA_LOG(Warning, "connection %u: aborted, the thread whose memory it uses has ended",
                   queue_pair->number());
          queue_pair->abort(Status::failure(abi::Code::Closed,
                                            "the thread that registered memory it used has ended"));
        }
        evict_later(device, held);
      });
}

Status closed() { return Status::failure(abi::Code::Closed, "the peer is closed"); }

}  // namespace

core::Result<std::shared_ptr<provider::Device>> Device::open(
    const provider::DeviceOptions& options) {
  auto context = std::make_shared<DeviceContext>();
  context->direct_write_to_pmem = options.direct_write_to_pmem;
  context->persist = memory::PersistService::process();
  Result<std::shared_ptr<ProgressThread>> progress = ProgressThread::start(options.busy_poll_us);
  if (!progress.ok()) return progress.status();
  context->progress = std::move(progress).value();
  memory::install_fault_guard();
  return std::static_pointer_cast<provider::Device>(std::make_shared<Device>(std::move(context)));
}

provider::Capabilities Device::capabilities() const {
  provider::Capabilities capabilities;
  capabilities.native_flush = true;
  capabilities.native_atomic_write = true;
  capabilities.persistent_flush = true;
  capabilities.immediate_data = true;
  capabilities.shared_receive_queue = true;
  capabilities.background_progress = true;
  capabilities.region_advice = true;
  capabilities.max_message_bytes = abi::kMessageBytesMax;
  capabilities.max_private_data_bytes = abi::kPrivateDataBytes;
  capabilities.max_queue_entries = abi::kQueueSizeMax;
  return capabilities;
}

core::Result<std::shared_ptr<memory::Region>> Device::register_memory(
    memory::RegionOptions options) {
  if (closed_.load()) return closed();
  options.domain = context_->domain;
  return context_->regions.add(std::move(options));
}

void Device::deregister(const std::shared_ptr<memory::Region>& region,
                        std::function<void()> quiet) {
  region->revoke(std::move(quiet));
  if (region->users() > 0) watch_answers(context_, region, {});
}

void Device::evict(const std::shared_ptr<memory::Region>& region) {
  if (region->users() > 0) evict_later(context_, region);
}

core::Status Device::advise(const memory::RegionUse& use, std::uint64_t offset,
                            std::uint64_t length, abi::AdviceKind kind) {
  return memory::advise(use, offset, length, kind);
}

core::Result<std::shared_ptr<provider::CompletionQueue>> Device::create_completion_queue(
    std::uint32_t size) {
  if (closed_.load()) return closed();
  auto queue = std::make_shared<CompletionQueue>(size);
  if (!queue->made()) return Status::failure(abi::Code::NoMemory, "no room for the queue");
  return std::static_pointer_cast<provider::CompletionQueue>(std::move(queue));
}

core::Result<std::shared_ptr<provider::SharedReceiveQueue>> Device::create_shared_receive_queue(
    const provider::SharedReceiveQueueConfig& config) {
  if (closed_.load()) return closed();
  Result<std::shared_ptr<SharedReceiveQueue>> made = SharedReceiveQueue::create(config);
  if (!made.ok()) return made.status();
  context_->remember(*made);
  return std::static_pointer_cast<provider::SharedReceiveQueue>(std::move(made).value());
}

core::Result<std::shared_ptr<provider::QueuePair>> Device::create_queue_pair(
    const provider::QueuePairConfig& config) {
  if (closed_.load()) return closed();
  Result<std::shared_ptr<QueuePair>> made = QueuePair::create(context_, config);
  if (!made.ok()) return made.status();
  return std::static_pointer_cast<provider::QueuePair>(std::move(made).value());
}

core::Result<std::shared_ptr<provider::Listener>> Device::listen(
    const provider::Address& at, const provider::ListenLimits& limits) {
  if (closed_.load()) return closed();
  Result<std::shared_ptr<Listener>> listener = Listener::open(context_, at, limits);
  if (!listener.ok()) return listener.status();
  const std::lock_guard lock(mutex_);
  std::erase_if(listeners_, [](const auto& weak) { return weak.expired(); });
  listeners_.push_back(*listener);
  return std::static_pointer_cast<provider::Listener>(std::move(listener).value());
}

provider::PeerStatistics Device::statistics() {
  provider::PeerStatistics now;
  for (std::size_t i = 0; i < provider::kPeerStatistics; ++i) {
    now.peer[i] = context_->counts.get(static_cast<provider::PeerStatistic>(i));
  }
  std::uint64_t open = 0;
  for (const std::shared_ptr<QueuePair>& queue_pair : context_->queue_pairs()) {
    const abi::ConnectionState state = queue_pair->state();
    const bool is_open =
        state == abi::ConnectionState::Established || state == abi::ConnectionState::Closing;
    if (is_open) ++open;
  }
  now.peer[static_cast<std::size_t>(provider::PeerStatistic::ConnectionsOpen)] = open;
  now.connections = context_->connection_statistics();
  return now;
}

void Device::close() {
  if (closed_.exchange(true)) return;
  std::vector<std::weak_ptr<Listener>> listeners;
  {
    const std::lock_guard lock(mutex_);
    listeners.swap(listeners_);
  }
  for (const std::weak_ptr<Listener>& weak : listeners) {
    if (const auto listener = weak.lock()) listener->close();
  }
  for (const std::shared_ptr<QueuePair>& queue_pair : context_->queue_pairs()) {
    queue_pair->abort(Status::failure(abi::Code::Closed, "the peer was closed"));
  }
  for (const std::shared_ptr<SharedReceiveQueue>& queue : context_->shared_receive_queues()) {
    queue->destroy();
  }
  context_->progress->stop();
}

}  // namespace rpma::iwarp
