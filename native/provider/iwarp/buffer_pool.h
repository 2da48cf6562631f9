// SPDX-License-Identifier: BSD-3-Clause
//
// Staging buffers for receiving, shared by a device's connections: one is borrowed while bytes of a
// connection are in it and given back when it is empty, so an idle connection holds none. Any
// thread.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

namespace rpma::iwarp {

class BufferPool {
 public:
  static constexpr std::size_t kBufferBytes = 256 * 1024;
  static constexpr std::size_t kKept = 8;
  using Buffer = std::unique_ptr<std::byte[]>;

  /** Its bytes are not cleared. */
  Buffer borrow() {
    {
      const std::lock_guard lock(mutex_);
      if (!kept_.empty()) {
        Buffer buffer = std::move(kept_.back());
        kept_.pop_back();
        return buffer;
      }
    }
    return std::make_unique_for_overwrite<std::byte[]>(kBufferBytes);
  }
  void give_back(Buffer buffer) {
    const std::lock_guard lock(mutex_);
    if (kept_.size() < kKept) kept_.push_back(std::move(buffer));
  }

 private:
  std::mutex mutex_;
  std::vector<Buffer> kept_;
};

}  // namespace rpma::iwarp
