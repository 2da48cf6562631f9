// SPDX-License-Identifier: BSD-3-Clause
// See log.h. One mutex guards who reads; writers only ever try it, and only to wake the reader:
// whoever unlocks it looks again whether a wake-up was left to him.
#include "core/log.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

namespace rpma::core {

namespace {

constexpr std::string_view kLevelNames[] = {"disabled", "fatal", "error", "warning",
                                            "notice",   "info",  "debug"};
static_assert(std::size(kLevelNames) == abi::kLogLevelCount);

struct Log {
  std::once_flag initialised;
  std::atomic<LogLevel> thresholds[abi::kLogThresholdCount] = {LogLevel::Warning,
                                                               LogLevel::Disabled};
  std::atomic<bool> has_sink{false};
  std::atomic<const LogReader*> current{nullptr};  // who reads now; for log_readable
  std::atomic<bool> wake_wanted{false};

  std::mutex mutex;  // guards what follows, and reading the ring
  std::vector<std::shared_ptr<LogReader>> readers;
  std::shared_ptr<LogReader> reader;
};

// Static storage: a ring that nobody writes to takes no memory.
constinit LogRing<abi::kLogRecords> ring;

Log& log() {
  // Never destroyed: a thread may log while the process ends.
  static Log& instance = *std::make_unique<Log>().release();
  return instance;
}

std::atomic<LogLevel>& threshold_of(LogThreshold which) {
  return log().thresholds[static_cast<std::size_t>(which)];
}

// Of what is kept now. The mutex is held, or nobody else is there yet.
void update_gate() {
  LogLevel least = LogLevel::Disabled;
  if (log().current.load() != nullptr) least = threshold_of(LogThreshold::Sink).load();
  if (!log().has_sink.load()) least = std::max(least, threshold_of(LogThreshold::Aux).load());
  // Disabled is 0 and no line has it: every level is above it.
  log_gate.store(static_cast<std::uint8_t>(least), std::memory_order_relaxed);
}

void read_environment() {
  const char* const value = std::getenv("RPMA_LOG");
  if (value == nullptr || *value == '\0') return;
  const auto* const found = std::find(std::begin(kLevelNames), std::end(kLevelNames), value);
  if (found == std::end(kLevelNames)) {
    std::fprintf(stderr,
                 "rpma: RPMA_LOG=%s is no level and is ignored; use disabled, fatal, error, "
                 "warning, notice, info or debug\n",
                 value);
    return;
  }
  threshold_of(LogThreshold::Aux)
      .store(static_cast<LogLevel>(found - std::begin(kLevelNames)), std::memory_order_relaxed);
}

void initialise() {
  std::call_once(log().initialised, [] {
    read_environment();
    const std::lock_guard lock(log().mutex);
    update_gate();
  });
}

// Tells the reader, unless another thread is there now: it sees the request when it leaves.
void wake() {
  Log& state = log();
  state.wake_wanted.store(true);
  while (state.wake_wanted.load() && state.mutex.try_lock()) {
    const std::lock_guard lock(state.mutex, std::adopt_lock);
    if (state.wake_wanted.exchange(false) && state.reader) state.reader->log_ready();
  }
}

// Who reads from now on. The mutex is held.
void set_reader(std::shared_ptr<LogReader> reader, bool has_sink) {
  log().current.store(reader.get());
  log().reader = std::move(reader);
  log().has_sink.store(has_sink);
  update_gate();
  if (!ring.empty()) log().wake_wanted.store(true);
}

std::shared_ptr<LogReader> oldest_reader() {
  return log().readers.empty() ? nullptr : log().readers.front();
}

std::uint64_t epoch_us() {
  timespec now{};
  // It cannot fail: the clock exists on every Linux and the address is ours.
  static_cast<void>(::clock_gettime(CLOCK_REALTIME, &now));
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000U +
         static_cast<std::uint64_t>(now.tv_nsec) / 1'000U;
}

// UTC, worked out here: the C library's calendar takes a lock and may read files.
void write_line(const LogRecord& record) {
  static thread_local const int thread = static_cast<int>(::gettid());
  const std::chrono::sys_time<std::chrono::microseconds> time{
      std::chrono::microseconds(record.time_us)};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{time - day};
  const std::string_view level = kLevelNames[static_cast<std::size_t>(record.level)];
  // stderr is unbuffered and locked for the length of the call, so lines never mix.
  std::fprintf(stderr, "rpma %04d-%02u-%02uT%02d:%02d:%02d.%06dZ [%d] %.*s %s:%u %s: %s\n",
               static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
               static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()),
               static_cast<int>(clock.minutes().count()), static_cast<int>(clock.seconds().count()),
               static_cast<int>(clock.subseconds().count()), thread, static_cast<int>(level.size()),
               level.data(), record.file, record.line, record.function,
               static_cast<const char*>(record.message));
}

const char* error_word(int error) {
#if defined(__GLIBC__)
  const char* const word = ::strerrorname_np(error);
  if (word != nullptr) return word;
#endif
  static_cast<void>(error);
  return "errno";
}

}  // namespace

void log_write(const LogSite& site, const char* format, ...) {
  initialise();
  if (!log_wanted(site.level)) return;
  LogRecord record;
  record.time_us = epoch_us();
  record.file = site.file;
  record.function = site.function;
  record.provider = site.provider;
  record.line = static_cast<std::uint32_t>(site.line);
  record.level = site.level;
  va_list arguments;
  va_start(arguments, format);
  const int length =
      std::vsnprintf(static_cast<char*>(record.message), sizeof(record.message), format, arguments);
  va_end(arguments);
  if (length >= static_cast<int>(sizeof(record.message))) {
    constexpr char kCut[] = "...";
    std::memcpy(record.message + sizeof(record.message) - sizeof(kCut), kCut, sizeof(kCut));
  }
  Log& state = log();
  if (!state.has_sink.load(std::memory_order_relaxed) &&
      site.level <= threshold_of(LogThreshold::Aux).load(std::memory_order_relaxed)) {
    write_line(record);
  }
  if (state.current.load(std::memory_order_relaxed) != nullptr &&
      site.level <= threshold_of(LogThreshold::Sink).load(std::memory_order_relaxed)) {
    // A full ring has been announced before.
    if (ring.push(record)) wake();
  }
}

StatusText::StatusText(const Status& status) {
  const char* const detail =
      status.detail != nullptr ? status.detail : abi::code_message(status.code);
  const char* const call = status.syscall != nullptr ? status.syscall : "";
  const char* const colon = status.syscall != nullptr ? ": " : "";
  if (status.sys_errno != 0) {
    std::snprintf(static_cast<char*>(text_), sizeof(text_), "%s%s%s (%d): %s", call, colon,
                  error_word(status.sys_errno), status.sys_errno, detail);
  } else {
    std::snprintf(static_cast<char*>(text_), sizeof(text_), "%s%s%s", call, colon, detail);
  }
}

LogLevel log_threshold(LogThreshold which) {
  initialise();
  return threshold_of(which).load(std::memory_order_relaxed);
}

void log_set_threshold(LogThreshold which, LogLevel level) {
  initialise();
  const std::lock_guard lock(log().mutex);
  threshold_of(which).store(level, std::memory_order_relaxed);
  update_gate();
}

void log_add_reader(std::shared_ptr<LogReader> reader) {
  initialise();
  {
    const std::lock_guard lock(log().mutex);
    log().readers.push_back(std::move(reader));
    if (!log().reader) set_reader(oldest_reader(), false);
  }
  if (log().wake_wanted.load()) wake();
}

void log_remove_reader(const LogReader* reader) {
  {
    const std::lock_guard lock(log().mutex);
    std::erase_if(log().readers, [reader](const auto& each) { return each.get() == reader; });
    if (log().reader.get() == reader) set_reader(oldest_reader(), false);
  }
  if (log().wake_wanted.load()) wake();
}

void log_set_sink(const LogReader* reader) {
  initialise();
  {
    const std::lock_guard lock(log().mutex);
    const auto found = std::find_if(log().readers.begin(), log().readers.end(),
                                    [reader](const auto& each) { return each.get() == reader; });
    const bool has_sink = found != log().readers.end();
    set_reader(has_sink ? *found : oldest_reader(), has_sink);
  }
  if (log().wake_wanted.load()) wake();
}

bool log_has_sink(const LogReader* reader) {
  const std::lock_guard lock(log().mutex);
  return reader != nullptr && log().reader.get() == reader && log().has_sink.load();
}

bool log_readable(const LogReader* reader) {
  return log().current.load(std::memory_order_relaxed) == reader && !ring.empty();
}

std::size_t log_read(const LogReader* reader, std::span<LogRecord> records) {
  std::size_t count = 0;
  {
    const std::lock_guard lock(log().mutex);
    if (log().reader.get() != reader) return 0;
    while (count < records.size() && ring.pop(records[count])) ++count;
  }
  if (log().wake_wanted.load()) wake();
  return count;
}

}  // namespace rpma::core
