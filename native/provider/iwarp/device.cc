// SPDX-License-Identifier: BSD-3-Clause
//
// See device.h.
#include "provider/iwarp/device.h"

#include "core/clock.h"
#include "memory/guarded_copy.h"
#include "provider/iwarp/completion_queue.h"
#include "provider/iwarp/listener.h"
#include "provider/iwarp/queue_pair.h"

namespace rpma::iwarp {
namespace {

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
  capabilities.background_progress = true;
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
  if (region->users() == 0) return;
  // An answer may hold it as long as the other side does not read: that side gets a bounded time.
  context_->progress->add_timer(
      core::now_ns() + abi::kRevokeGraceMs * core::kNanosecondsPerMillisecond,
      [context = std::weak_ptr(context_), weak = std::weak_ptr(region)] {
        const std::shared_ptr<memory::Region> held = weak.lock();
        const std::shared_ptr<DeviceContext> device = context.lock();
        if (!held || !device || held->users() == 0) return;
        for (const std::shared_ptr<QueuePair>& queue_pair : device->queue_pairs()) {
          queue_pair->end_if_answering(held.get());
        }
      });
}

core::Result<std::shared_ptr<provider::CompletionQueue>> Device::create_completion_queue(
    std::uint32_t size) {
  if (closed_.load()) return closed();
  return std::static_pointer_cast<provider::CompletionQueue>(
      std::make_shared<CompletionQueue>(size));
}

core::Result<std::shared_ptr<provider::QueuePair>> Device::create_queue_pair(
    const provider::QueuePairConfig& config) {
  if (closed_.load()) return closed();
  return std::static_pointer_cast<provider::QueuePair>(QueuePair::create(context_, config));
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
  context_->progress->stop();
}

}  // namespace rpma::iwarp
