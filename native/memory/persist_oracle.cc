// SPDX-License-Identifier: BSD-3-Clause
// See persist_oracle.h. The mapping is read word by word and outside the race detector's sight:
// a store that runs at the same time as a persist may or may not be in the copy, which is what
// real persistent memory does, too, and is not a defect of the program.
#include "memory/persist_oracle.h"

#if defined(RPMA_TEST_FLAVOUR)

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/assert.h"
#include "core/random.h"

namespace rpma::memory {

namespace {

constexpr std::uint64_t kWordBytes = 8;

// Plain loops over volatile: the instrumented memcpy would be watched in spite of the attribute.
__attribute__((noinline, no_sanitize("thread"))) void copy_words(volatile const std::byte* source,
                                                                 std::byte* destination,
                                                                 std::size_t length) {
  if (length == kWordBytes && (reinterpret_cast<std::uintptr_t>(source) % kWordBytes) == 0) {
    const std::uint64_t word = *reinterpret_cast<volatile const std::uint64_t*>(source);
    std::memcpy(destination, &word, kWordBytes);
    return;
  }
  for (std::size_t i = 0; i < length; ++i) destination[i] = source[i];
}

}  // namespace

std::shared_ptr<PersistOracle> PersistOracle::create() { return std::make_shared<PersistOracle>(); }

PersistOverride PersistOracle::persist_override(abi::PmemDurability kind) {
  return {kind, [oracle = shared_from_this()](std::byte* base, std::size_t size) {
            oracle->attach(base, size);
            return [oracle](std::byte* address, std::size_t length) {
              return oracle->persist(address, length);
            };
          }};
}

void PersistOracle::attach(std::byte* base, std::size_t size) {
  const std::lock_guard lock(mutex_);
  RPMA_ASSERT(base_ == nullptr);
  base_ = base;
  copy_.resize(size);
  take_words(0, size, false);
}

core::Status PersistOracle::persist(std::byte* address, std::size_t length) {
  std::function<void(std::uint64_t, std::size_t)> observer;
  std::uint64_t offset = 0;
  {
    const std::lock_guard lock(mutex_);
    observer = observer_;
    offset = static_cast<std::uint64_t>(address - base_);
  }
  if (observer) observer(offset, length);
  const std::lock_guard lock(mutex_);
  RPMA_ASSERT(offset <= copy_.size() && length <= copy_.size() - offset);
  ++persists_;
  const bool cut_now = !cut_ && cut_number_ != 0 && persists_ >= cut_number_;
  if (!cut_) take_words(offset, length, cut_now);
  cut_ = cut_ || cut_now;
  if (!cut_) return core::Status::success();
  return core::Status::from_errno(abi::Code::Provider, EIO, "msync", "the oracle cut the power");
}

void PersistOracle::take_words(std::uint64_t offset, std::size_t length, bool subset) {
  core::SeededRandom random(cut_seed_);
  const std::uint64_t end = offset + length;
  while (offset < end) {
    const std::uint64_t word_end = offset - offset % kWordBytes + kWordBytes;
    const std::uint64_t stop = word_end < end ? word_end : end;
    if (!subset || random.chance(1, 2)) {
      copy_words(base_ + offset, copy_.data() + offset, stop - offset);
    }
    offset = stop;
  }
}

void PersistOracle::cut_at(std::uint64_t nth, std::uint64_t seed) {
  const std::lock_guard lock(mutex_);
  cut_number_ = nth == 0 ? 0 : persists_ + nth;
  cut_seed_ = seed;
}

bool PersistOracle::cut() const {
  const std::lock_guard lock(mutex_);
  return cut_;
}

std::uint64_t PersistOracle::persists() const {
  const std::lock_guard lock(mutex_);
  return persists_;
}

std::size_t PersistOracle::size() const {
  const std::lock_guard lock(mutex_);
  return copy_.size();
}

std::vector<std::byte> PersistOracle::copy(std::uint64_t offset, std::size_t length) const {
  const std::lock_guard lock(mutex_);
  if (offset > copy_.size() || length > copy_.size() - offset) return {};
  const auto begin = copy_.begin() + static_cast<std::ptrdiff_t>(offset);
  return {begin, begin + static_cast<std::ptrdiff_t>(length)};
}

bool PersistOracle::equals(std::uint64_t offset, const void* bytes, std::size_t length) const {
  const std::lock_guard lock(mutex_);
  if (offset > copy_.size() || length > copy_.size() - offset) return false;
  return length == 0 || std::memcmp(copy_.data() + offset, bytes, length) == 0;
}

void PersistOracle::on_persist(std::function<void(std::uint64_t, std::size_t)> observer) {
  const std::lock_guard lock(mutex_);
  observer_ = std::move(observer);
}

}  // namespace rpma::memory

#endif
