// SPDX-License-Identifier: BSD-3-Clause
//
// What has something for one environment, and the descriptors that wake it. Any thread publishes a
// handle with notify(); the environment's JavaScript thread takes them. Every handle owns one slot
// that is on the list at most once, so the list is bounded by the number of handles and a notify
// allocates nothing and takes no lock. Shared by the environment and by every native object that
// notifies it: the last of them closes the descriptors, so none is used after it was closed.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "core/log.h"
#include "core/result.h"
#include "provider/provider.h"

namespace rpma::addon {

/** A generation-checked integer below 2^53 that names a native object; 0 names none. */
using Handle = std::uint64_t;

/** The low bits of a handle are its slot's index, the others its generation. */
inline constexpr unsigned kHandleIndexBits = 20;
inline constexpr std::uint32_t kHandlesMax = 1U << kHandleIndexBits;

constexpr std::uint32_t handle_index(Handle handle) {
  return static_cast<std::uint32_t>(handle & (kHandlesMax - 1));
}

struct ReadySlot {
  std::atomic<Handle> handle{0};
  std::atomic<bool> queued{false};
  ReadySlot* next = nullptr;  // written by whoever set queued, until the list is taken
};

class ReadyList final : public provider::Notifier, public core::LogReader {
 public:
  static core::Result<std::shared_ptr<ReadyList>> create();

  ReadyList(int epoll_fd, int event_fd);
  ~ReadyList() override;
  ReadyList(const ReadyList&) = delete;
  ReadyList& operator=(const ReadyList&) = delete;

  /** Any thread. The token is a handle; one that is gone is ignored. */
  void notify(std::uint64_t token) override;
  /** Any thread: wakes the environment for work that is on no list of this object. */
  void signal();
  /** Any thread: the log has records, and it is this environment's turn to read them. */
  void log_ready() override { signal(); }

  // The rest belongs to the environment's JavaScript thread.

  /** The environment's own epoll descriptor: the event descriptor's data is 0. */
  int epoll_fd() const { return epoll_fd_; }
  /** Gives the handle's slot to it. */
  void attach(Handle handle);
  void detach(Handle handle);
  /** Before taking: from here on the next signal is written again. */
  void clear_signal() { signalled_.store(false, std::memory_order_seq_cst); }
  /** The next slot in the order of notification, or null. It stays queued until released. */
  ReadySlot* take();
  /** Ends the slot's stay on the list and tells whose it is now; 0 for nobody's. */
  static Handle release(ReadySlot* slot);

  /** While one lives, a notify of this thread publishes and need not wake anybody. */
  class Driving {
   public:
    explicit Driving(ReadyList& list) : list_(list) { list_.driving_ = true; }
    ~Driving() { list_.driving_ = false; }
    Driving(const Driving&) = delete;
    Driving& operator=(const Driving&) = delete;

   private:
    ReadyList& list_;
  };

 private:
  static constexpr std::uint32_t kChunkSlots = 256;
  using Chunk = std::array<ReadySlot, kChunkSlots>;

  ReadySlot* find(Handle handle) const;

  const int epoll_fd_;
  const int event_fd_;
  const std::thread::id thread_;
  bool driving_ = false;  // read only where the thread is thread_
  std::atomic<bool> signalled_{false};
  std::atomic<ReadySlot*> newest_{nullptr};
  ReadySlot* oldest_ = nullptr;  // taken, in order
  std::vector<std::unique_ptr<Chunk>> owned_;
  // Chunks never move, so that a notifying thread may look a slot up while others are added.
  std::array<std::atomic<Chunk*>, kHandlesMax / kChunkSlots> chunks_{};
};

}  // namespace rpma::addon
