// SPDX-License-Identifier: BSD-3-Clause
// Bounded queues. BoundedRing: one producer thread, one consumer thread, no lock. FixedQueue: one
// thread at a time (or a lock of the owner's). Both get their room once, at construction, and
// answer false when full: nothing in this library grows without a bound.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <utility>
#include <vector>

#include "core/assert.h"

namespace rpma::core {

// The producer owns tail_, the consumer owns head_; both only ever grow, so that their difference
// is the fill even after they wrap around. A slot belongs to the producer until tail_ is released
// past it, then to the consumer until head_ is released past it. Each side keeps the last value
// it saw of the other's index, which spares the shared cache line while there is room.
template <typename T>
class BoundedRing {
 public:
  explicit BoundedRing(std::size_t capacity)
      : slots_(std::bit_ceil(capacity == 0 ? std::size_t{1} : capacity)),
        mask_(slots_.size() - 1) {}

  BoundedRing(const BoundedRing&) = delete;
  BoundedRing& operator=(const BoundedRing&) = delete;

  // The room really there: the capacity asked for, rounded up to a power of two.
  [[nodiscard]] std::size_t capacity() const { return slots_.size(); }

  // Producer. On false the value was not moved from.
  [[nodiscard]] bool try_push(T&& value) {
    T* slot = producer_slot();
    if (slot == nullptr) return false;
    *slot = std::move(value);
    publish();
    return true;
  }
  [[nodiscard]] bool try_push(const T& value) {
    T* slot = producer_slot();
    if (slot == nullptr) return false;
    *slot = value;
    publish();
    return true;
  }

  // Consumer. The slot is reset, so that what a popped element owned is not kept alive by it.
  [[nodiscard]] bool try_pop(T& value) {
    T* slot = peek();
    if (slot == nullptr) return false;
    value = std::move(*slot);
    drop();
    return true;
  }

  // Consumer: the oldest element in place, null when empty.
  [[nodiscard]] T* peek() {
    const std::size_t head = head_.load(std::memory_order_relaxed);
    if (head == seen_tail_) {
      seen_tail_ = tail_.load(std::memory_order_acquire);
      if (head == seen_tail_) return nullptr;
    }
    return &slots_[head & mask_];
  }

  // Consumer: removes the element that peek() gave.
  void drop() {
    const std::size_t head = head_.load(std::memory_order_relaxed);
    RPMA_ASSERT(head != seen_tail_);
    slots_[head & mask_] = T{};
    head_.store(head + 1, std::memory_order_release);
  }

  // Exact for the two sides while the other one rests, a moment's value otherwise.
  [[nodiscard]] std::size_t size() const {
    const std::size_t head = head_.load(std::memory_order_acquire);
    return tail_.load(std::memory_order_acquire) - head;
  }
  [[nodiscard]] bool empty() const { return size() == 0; }

 private:
  [[nodiscard]] T* producer_slot() {
    const std::size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - seen_head_ == slots_.size()) {
      seen_head_ = head_.load(std::memory_order_acquire);
      if (tail - seen_head_ == slots_.size()) return nullptr;
    }
    return &slots_[tail & mask_];
  }
  void publish() {
    tail_.store(tail_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

  static constexpr std::size_t kCacheLineBytes = 64;

  std::vector<T> slots_;
  const std::size_t mask_;
  alignas(kCacheLineBytes) std::atomic<std::size_t> tail_{0};
  std::size_t seen_head_ = 0;
  alignas(kCacheLineBytes) std::atomic<std::size_t> head_{0};
  std::size_t seen_tail_ = 0;
};

// A double-ended queue of exactly the capacity given. Popped slots are reset at once.
template <typename T>
class FixedQueue {
 public:
  explicit FixedQueue(std::size_t capacity) : slots_(capacity) {}

  [[nodiscard]] std::size_t capacity() const { return slots_.size(); }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] bool full() const { return size_ == slots_.size(); }

  // On false the value was not moved from.
  [[nodiscard]] bool push_back(T&& value) {
    if (full()) return false;
    slots_[index(size_)] = std::move(value);
    ++size_;
    return true;
  }
  [[nodiscard]] bool push_back(const T& value) { return push_back(T(value)); }

  [[nodiscard]] bool push_front(T&& value) {
    if (full()) return false;
    head_ = head_ == 0 ? slots_.size() - 1 : head_ - 1;
    slots_[head_] = std::move(value);
    ++size_;
    return true;
  }
  [[nodiscard]] bool push_front(const T& value) { return push_front(T(value)); }

  // Positions count from the oldest element.
  [[nodiscard]] T& operator[](std::size_t position) {
    RPMA_ASSERT(position < size_);
    return slots_[index(position)];
  }
  [[nodiscard]] const T& operator[](std::size_t position) const {
    RPMA_ASSERT(position < size_);
    return slots_[index(position)];
  }
  [[nodiscard]] T& front() { return (*this)[0]; }
  [[nodiscard]] const T& front() const { return (*this)[0]; }
  [[nodiscard]] T& back() { return (*this)[size_ - 1]; }
  [[nodiscard]] const T& back() const { return (*this)[size_ - 1]; }

  void pop_front() {
    RPMA_ASSERT(size_ > 0);
    slots_[head_] = T{};
    head_ = index(1);
    --size_;
  }
  T take_front() {
    T value = std::move(front());
    pop_front();
    return value;
  }
  void pop_back() {
    RPMA_ASSERT(size_ > 0);
    back() = T{};
    --size_;
  }
  void clear() {
    while (size_ > 0) pop_front();
  }

 private:
  [[nodiscard]] std::size_t index(std::size_t position) const {
    const std::size_t sum = head_ + position;
    return sum >= slots_.size() ? sum - slots_.size() : sum;
  }

  std::vector<T> slots_;
  std::size_t head_ = 0;
  std::size_t size_ = 0;
};

}  // namespace rpma::core
