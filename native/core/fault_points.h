// SPDX-License-Identifier: BSD-3-Clause
// Named fault points: places where a test may ask for a failure, a delay or both. They exist only
// with RPMA_TEST_FLAVOUR; elsewhere RPMA_FAULT_POINT and its kin are constants and the names do not
// even reach the binary. Any thread. Use:
//
//   const core::FaultAction fault = RPMA_FAULT_POINT("memory.mmap");
//   void* address = fault.fail ? (errno = fault.err, MAP_FAILED) : ::mmap(...);
//
// or, where the call answers -1: core::attempt(RPMA_FAULT_POINT("iwarp.bind"), [&] { ... }).
//
// A point tells, it does not act: the site applies delay_ms itself where a delay makes sense
// there (core::apply_delay).
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>

#if defined(RPMA_TEST_FLAVOUR)
#include <algorithm>
#include <atomic>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>
#endif

namespace rpma::core {

struct FaultAction {
  bool fail = false;
  int err = 0;
  unsigned delay_ms = 0;
};

// Makes a system call, unless the fault stands in for it: -1, with errno set.
template <typename Call>
auto attempt(const FaultAction& fault, Call call) -> decltype(call()) {
  if (!fault.fail) return call();
  errno = fault.err;
  return -1;
}

#if defined(RPMA_TEST_FLAVOUR)

// Sleeps on the calling thread when the action asks for it.
void apply_delay(const FaultAction& action);

namespace fault {

inline constexpr std::uint64_t kForever = UINT64_MAX;

// From now on the nth hit of the point (1 is the next) and the count - 1 hits after it fail with
// err (0: they do not fail) after delay_ms. It also restarts the point's hit count. False when no
// such point is compiled in.
bool set(std::string_view name, std::uint64_t nth, std::uint64_t count, int err,
         unsigned delay_ms = 0);

// The same by one text, point:nth:errno. False when it is not of that form or names no point.
bool set(std::string_view plan);

// Disarms every point, clears every switch, restarts every hit count.
void clear_all();

// Hits since the last set or clear_all.
[[nodiscard]] std::uint64_t hits(std::string_view name);

// All points compiled in, sorted; known before any of them was reached.
[[nodiscard]] std::vector<std::string> names();

// Tallies count events of a run whose sums a test compares: what was begun and what was ended.
[[nodiscard]] std::vector<std::string> tally_names();
[[nodiscard]] std::uint64_t tally(std::string_view name);

// Switches turn a defect on, for the tests that must notice it. False when there is none so named.
bool set_switch(std::string_view name, bool on);
[[nodiscard]] std::vector<std::string> switch_names();

class Point {
 public:
  explicit Point(const char* name);
  Point(const Point&) = delete;
  Point& operator=(const Point&) = delete;

  FaultAction hit();

  [[nodiscard]] const char* name() const { return name_; }
  [[nodiscard]] std::uint64_t hit_count() const { return hits_.load(std::memory_order_relaxed); }
  void arm(std::uint64_t nth, std::uint64_t count, int err, unsigned delay_ms);
  void disarm();
  [[nodiscard]] Point* next() const { return next_; }

 private:
  const char* name_;
  Point* next_;
  std::atomic<std::uint64_t> hits_{0};
  std::atomic<bool> armed_{false};
  std::mutex mutex_;  // guards what follows, taken only while armed
  std::uint64_t first_ = 0;
  std::uint64_t count_ = 0;
  FaultAction action_;
};

class Switch {
 public:
  explicit Switch(const char* name);
  Switch(const Switch&) = delete;
  Switch& operator=(const Switch&) = delete;

  [[nodiscard]] bool on() const { return on_.load(std::memory_order_acquire); }
  void set(bool on) { on_.store(on, std::memory_order_release); }
  [[nodiscard]] const char* name() const { return name_; }
  [[nodiscard]] Switch* next() const { return next_; }

 private:
  const char* name_;
  Switch* next_;
  std::atomic<bool> on_{false};
};

class Tally {
 public:
  explicit Tally(const char* name);
  Tally(const Tally&) = delete;
  Tally& operator=(const Tally&) = delete;

  void count() { count_.fetch_add(1, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t value() const { return count_.load(std::memory_order_relaxed); }
  [[nodiscard]] const char* name() const { return name_; }
  [[nodiscard]] Tally* next() const { return next_; }

 private:
  const char* name_;
  Tally* next_;
  std::atomic<std::uint64_t> count_{0};
};

template <std::size_t kSize>
struct Name {
  consteval Name(const char (&literal)[kSize]) { std::copy_n(literal, kSize, text); }
  char text[kSize] = {};
};

// One object a name, shared by all its sites and registered before main: names() is complete
// without any site having run.
template <Name kName>
struct PointOf {
  static inline Point point{kName.text};
};
template <Name kName>
struct SwitchOf {
  static inline Switch flag{kName.text};
};
template <Name kName>
struct TallyOf {
  static inline Tally tally{kName.text};
};

}  // namespace fault

#define RPMA_FAULT_POINT(name) (::rpma::core::fault::PointOf<name>::point.hit())
#define RPMA_FAULT_SWITCH(name) (::rpma::core::fault::SwitchOf<name>::flag.on())
#define RPMA_FAULT_TALLY(name) (::rpma::core::fault::TallyOf<name>::tally.count())

#else

constexpr void apply_delay(const FaultAction&) {}

#define RPMA_FAULT_POINT(name) (::rpma::core::FaultAction{})
#define RPMA_FAULT_SWITCH(name) (false)
#define RPMA_FAULT_TALLY(name) (static_cast<void>(0))

#endif

}  // namespace rpma::core
