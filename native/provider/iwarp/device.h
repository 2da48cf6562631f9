// SPDX-License-Identifier: BSD-3-Clause
//
// The iWARP provider's device: RDMA in user space over ordinary TCP sockets. Any thread.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "core/counters.h"
#include "provider/iwarp/device_context.h"
#include "provider/provider.h"

namespace rpma::iwarp {

class Listener;

class Device final : public provider::Device {
 public:
  static core::Result<std::shared_ptr<provider::Device>> open(
      const provider::DeviceOptions& options);
  explicit Device(std::shared_ptr<DeviceContext> context) : context_(std::move(context)) {}
  ~Device() override { close(); }

  const char* name() const override { return "tcp"; }
  provider::Capabilities capabilities() const override;
  core::Result<std::shared_ptr<memory::Region>> register_memory(
      memory::RegionOptions options) override;
  void deregister(const std::shared_ptr<memory::Region>& region,
                  std::function<void()> quiet) override;
  void evict(const std::shared_ptr<memory::Region>& region) override;
  core::Status advise(const memory::RegionUse& use, std::uint64_t offset, std::uint64_t length,
                      abi::AdviceKind kind) override;
  core::Result<std::shared_ptr<provider::CompletionQueue>> create_completion_queue(
      std::uint32_t size) override;
  core::Result<std::shared_ptr<provider::SharedReceiveQueue>> create_shared_receive_queue(
      const provider::SharedReceiveQueueConfig& config) override;
  core::Result<std::shared_ptr<provider::QueuePair>> create_queue_pair(
      const provider::QueuePairConfig& config) override;
  core::Result<std::shared_ptr<provider::Listener>> listen(
      const provider::Address& at, const provider::ListenLimits& limits) override;
  provider::PeerStatistics statistics() override;
  void close() override;

 private:
  const core::LiveCount live_{core::counters().peers};
  const std::shared_ptr<DeviceContext> context_;
  std::atomic<bool> closed_{false};
  std::mutex mutex_;  // guards listeners_
  std::vector<std::weak_ptr<Listener>> listeners_;
};

}  // namespace rpma::iwarp
