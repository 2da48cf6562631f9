// SPDX-License-Identifier: BSD-3-Clause
// The registry behind fault_points.h, in the test flavour only. Points link themselves into a
// list while the program starts; the list never shrinks, so walking it needs no lock.
#include "core/fault_points.h"

#if defined(RPMA_TEST_FLAVOUR)

#include <charconv>
#include <ctime>

namespace rpma::core {

void apply_delay(const FaultAction& action) {
  if (action.delay_ms == 0) return;
  timespec rest{static_cast<time_t>(action.delay_ms / 1000),
                static_cast<long>(action.delay_ms % 1000) * 1'000'000L};
  while (::nanosleep(&rest, &rest) != 0) {
  }
}

namespace fault {

namespace {

// Constant-initialised, so they are there before the first point registers itself.
constinit std::atomic<Point*> points{nullptr};
constinit std::atomic<Switch*> switches{nullptr};
constinit std::atomic<Tally*> tallies{nullptr};

template <typename T>
T* find(const std::atomic<T*>& list, std::string_view name) {
  for (T* entry = list.load(std::memory_order_acquire); entry != nullptr; entry = entry->next()) {
    if (name == entry->name()) return entry;
  }
  return nullptr;
}

template <typename T>
std::vector<std::string> sorted_names(const std::atomic<T*>& list) {
  std::vector<std::string> result;
  for (T* entry = list.load(std::memory_order_acquire); entry != nullptr; entry = entry->next()) {
    result.emplace_back(entry->name());
  }
  std::sort(result.begin(), result.end());
  return result;
}

// The whole text as a number from 1 on; 0 when it is none.
std::uint64_t to_number(std::string_view text) {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && rest == end ? value : 0;
}

}  // namespace

Tally::Tally(const char* name) : name_(name), next_(tallies.load(std::memory_order_relaxed)) {
  while (!tallies.compare_exchange_weak(next_, this, std::memory_order_acq_rel)) {
  }
}

Point::Point(const char* name) : name_(name), next_(points.load(std::memory_order_relaxed)) {
  while (!points.compare_exchange_weak(next_, this, std::memory_order_acq_rel)) {
  }
}

Switch::Switch(const char* name) : name_(name), next_(switches.load(std::memory_order_relaxed)) {
  while (!switches.compare_exchange_weak(next_, this, std::memory_order_acq_rel)) {
  }
}

// The unarmed path is two relaxed atomics and takes no lock: a test build must not order threads
// that the release build leaves unordered, or the race detector would see less.
FaultAction Point::hit() {
  const std::uint64_t number = hits_.fetch_add(1, std::memory_order_relaxed) + 1;
  if (!armed_.load(std::memory_order_relaxed)) return FaultAction{};
  const std::lock_guard lock(mutex_);
  const bool chosen = number >= first_ && number - first_ < count_;
  return chosen ? action_ : FaultAction{};
}

void Point::arm(std::uint64_t nth, std::uint64_t count, int err, unsigned delay_ms) {
  const std::lock_guard lock(mutex_);
  first_ = nth;
  count_ = count;
  action_ = FaultAction{err != 0, err, delay_ms};
  hits_.store(0, std::memory_order_relaxed);
  armed_.store(true, std::memory_order_relaxed);
}

void Point::disarm() {
  const std::lock_guard lock(mutex_);
  count_ = 0;
  hits_.store(0, std::memory_order_relaxed);
  armed_.store(false, std::memory_order_relaxed);
}

bool set(std::string_view name, std::uint64_t nth, std::uint64_t count, int err,
         unsigned delay_ms) {
  Point* point = find(points, name);
  if (point == nullptr) return false;
  point->arm(nth, count, err, delay_ms);
  return true;
}

bool set(std::string_view plan) {
  const std::size_t last = plan.rfind(':');
  if (last == std::string_view::npos || last == 0) return false;
  const std::size_t first = plan.rfind(':', last - 1);
  if (first == std::string_view::npos) return false;
  const std::uint64_t nth = to_number(plan.substr(first + 1, last - first - 1));
  const std::uint64_t err = to_number(plan.substr(last + 1));
  constexpr std::uint64_t kErrnoMax = 4095;
  if (nth == 0 || err == 0 || err > kErrnoMax) return false;
  return set(plan.substr(0, first), nth, 1, static_cast<int>(err));
}

void clear_all() {
  for (Point* point = points.load(std::memory_order_acquire); point != nullptr;
       point = point->next()) {
    point->disarm();
  }
  for (Switch* flag = switches.load(std::memory_order_acquire); flag != nullptr;
       flag = flag->next()) {
    flag->set(false);
  }
}

std::uint64_t hits(std::string_view name) {
  const Point* point = find(points, name);
  return point == nullptr ? 0 : point->hit_count();
}

std::vector<std::string> tally_names() { return sorted_names(tallies); }

std::uint64_t tally(std::string_view name) {
  const Tally* found = find(tallies, name);
  return found == nullptr ? 0 : found->value();
}

std::vector<std::string> names() { return sorted_names(points); }

bool set_switch(std::string_view name, bool on) {
  Switch* flag = find(switches, name);
  if (flag == nullptr) return false;
  flag->set(on);
  return true;
}

std::vector<std::string> switch_names() { return sorted_names(switches); }

}  // namespace fault

}  // namespace rpma::core

#endif
