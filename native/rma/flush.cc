// SPDX-License-Identifier: BSD-3-Clause
//
// See flush.h.
#include "rma/flush.h"

#include <algorithm>

#include "memory/mapping.h"

namespace rpma::rma {
namespace {

constexpr std::uint64_t kFlushReadBytes = 8;

}  // namespace

FlushStrategy::~FlushStrategy() {
  if (scratch_) device_->deregister(scratch_, [] {});
}

void FlushStrategy::choose(provider::QueuePair& queue_pair) {
  const provider::Capabilities capabilities = queue_pair.capabilities();
  native_flush_ = capabilities.native_flush;
  native_atomic_write_ = capabilities.native_atomic_write;
  chosen_ = true;
}

Status FlushStrategy::prepare(provider::WorkRequest& request, provider::QueuePair& queue_pair,
                              provider::Device& device) {
  if (!chosen_) {
    // Before it is established nothing is agreed on; the post itself refuses with the state.
    if (queue_pair.state() == abi::ConnectionState::Connecting) return Status::success();
    choose(queue_pair);
  }
  if (request.posted == abi::Operation::AtomicWrite && !native_atomic_write_) {
    // librpma's way: an 8-byte Write behind a fence, so that it follows earlier flushes.
    request.carrier = abi::Operation::Write;
    request.fence = true;
    request.inline_value = true;
  }
  if (request.posted == abi::Operation::Flush && !native_flush_)
    return emulate_flush(request, device);
  return Status::success();
}

/** A Read of the range's first bytes: answered only after all earlier Writes were placed. */
Status FlushStrategy::emulate_flush(provider::WorkRequest& request, provider::Device& device) {
  if (request.flush_type == abi::FlushType::Persistent) {
    if (!vouched_.load()) {
      return Status::failure(abi::Code::NotPersistent,
                             "the other side cannot persist by itself, and nobody vouched for it "
                             "(applyRemotePeerConfig with directWriteToPmem)");
    }
    request.vouched = abi::Durability::Vouched;
  }
  if (!scratch_) {
    Result<std::shared_ptr<memory::Mapping>> mapping = memory::Mapping::anonymous(kFlushReadBytes);
    if (!mapping.ok()) return mapping.status();
    memory::RegionOptions options;
    options.data = (*mapping)->data();
    options.length = kFlushReadBytes;
    options.usage = abi::kMemoryUsageReadDestination;
    options.mapping = *mapping;
    Result<std::shared_ptr<memory::Region>> region = device.register_memory(std::move(options));
    if (!region.ok()) return region.status();
    scratch_ = std::move(region).value();
    device_ = &device;
  }
  request.carrier = abi::Operation::Read;
  request.length = std::min(request.length, kFlushReadBytes);
  request.local = scratch_;
  request.local_offset = 0;
  return Status::success();
}

}  // namespace rpma::rma
