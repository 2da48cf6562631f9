// SPDX-License-Identifier: BSD-3-Clause
//
// Staging buffers, shared by a device's connections: one is borrowed while bytes of a connection
// are in it and given back when it is empty, so an idle connection holds none. A connection whose
// other side stalls in the middle of a frame, or does not read, keeps its buffer for as long; so
// only a limited number of large ones is lent at a time, and whoever comes then gets a small one
// that still holds what he cannot do without. Any thread; a buffer belongs to who borrowed it, and
// goes back to the pool, which outlives it, when it is destroyed.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "abi.generated.h"
#include "core/counters.h"
#include "core/fault_points.h"

namespace rpma::iwarp {

class BufferPool {
 public:
  static constexpr std::size_t kBufferBytes = abi::kStagingBytes;
  static constexpr std::size_t kBuffers = abi::kStagingBuffers;
  static constexpr std::size_t kKept = 8;

  class Buffer {
   public:
    Buffer() = default;
    Buffer(BufferPool* pool, std::unique_ptr<std::byte[]> bytes, std::size_t size)
        : pool_(pool), bytes_(std::move(bytes)), size_(size) {
      core::count(core::counters().staging_bytes, static_cast<std::int64_t>(size));
    }
    Buffer(Buffer&& other) noexcept
        : pool_(other.pool_),
          bytes_(std::move(other.bytes_)),
          size_(std::exchange(other.size_, 0)) {}
    Buffer& operator=(Buffer&& other) noexcept {
      if (this != &other) {
        give_back();
        pool_ = other.pool_;
        bytes_ = std::move(other.bytes_);
        size_ = std::exchange(other.size_, 0);
      }
      return *this;
    }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { give_back(); }

    [[nodiscard]] std::byte* get() const { return bytes_.get(); }
    [[nodiscard]] std::size_t size() const { return size_; }
    explicit operator bool() const { return bytes_ != nullptr; }
    void give_back() {
      if (!bytes_) return;
      core::count(core::counters().staging_bytes, -static_cast<std::int64_t>(size_));
      pool_->take_back(std::move(bytes_), std::exchange(size_, 0));
    }

   private:
    BufferPool* pool_ = nullptr;
    std::unique_ptr<std::byte[]> bytes_;
    std::size_t size_ = 0;
  };

  /**
   * Of kBufferBytes, or of `least` when kBuffers of those are lent. Its bytes are not cleared; null
   * when there is no memory.
   */
  Buffer borrow(std::size_t least) {
    std::unique_ptr<std::byte[]> bytes;
    std::size_t size = least;
    {
      const std::lock_guard lock(mutex_);
      if (lent_ < kBuffers) {
        ++lent_;
        size = kBufferBytes;
        if (!kept_.empty()) {
          bytes = std::move(kept_.back());
          kept_.pop_back();
        }
      }
    }
    if (!bytes && !RPMA_FAULT_POINT("iwarp.staging-buffer").fail) {
      bytes.reset(new (std::nothrow) std::byte[size]);
    }
    if (!bytes) {
      if (size == kBufferBytes) take_back(nullptr, size);
      return {};
    }
    return Buffer(this, std::move(bytes), size);
  }

 private:
  void take_back(std::unique_ptr<std::byte[]> bytes, std::size_t size) {
    if (size != kBufferBytes) return;
    const std::lock_guard lock(mutex_);
    --lent_;
    if (bytes && kept_.size() < kKept) kept_.push_back(std::move(bytes));
  }

  std::mutex mutex_;
  std::size_t lent_ = 0;  // of kBufferBytes
  std::vector<std::unique_ptr<std::byte[]>> kept_;
};

}  // namespace rpma::iwarp
