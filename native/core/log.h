// SPDX-License-Identifier: BSD-3-Clause
// The log of the process. Any thread writes a line (RPMA_LOG); it goes into a bounded ring, which
// one environment reads, and, while no program has a sink, to standard error. A line that nobody
// wants costs one relaxed load, one that is kept neither waits nor allocates. Thresholds and sink
// are the process's, as librpma's. See docs/internals/log.md.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "abi.generated.h"
#include "core/log_ring.h"
#include "core/status.h"

namespace rpma {

// Whose line it is. The namespace of a provider hides it with a name of its own.
inline constexpr const char* kLogProvider = nullptr;

}  // namespace rpma

namespace rpma::core {

using abi::LogLevel;
using abi::LogThreshold;

// Where a line stands.
struct LogSite {
  LogLevel level;
  const char* file;
  int line;
  const char* function;
  const char* provider;
};

// The least severe level that anybody wants; at first everything, so that the first line finds out.
inline std::atomic<std::uint8_t> log_gate{UINT8_MAX};

[[nodiscard]] inline bool log_wanted(LogLevel level) {
  return static_cast<std::uint8_t>(level) <= log_gate.load(std::memory_order_relaxed);
}

[[gnu::format(printf, 2, 3)]] void log_write(const LogSite& site, const char* format, ...);

// The arguments are evaluated only when somebody wants the line. Never for keys, descriptors or
// private data; never once an operation at Info or above.
#define RPMA_LOG(level, ...)                                                          \
  do {                                                                                \
    if (::rpma::core::log_wanted(::rpma::abi::LogLevel::level)) [[unlikely]] {        \
      ::rpma::core::log_write({::rpma::abi::LogLevel::level, __FILE_NAME__, __LINE__, \
                               static_cast<const char*>(__func__), kLogProvider},     \
                              __VA_ARGS__);                                           \
    }                                                                                 \
  } while (false)

// A status in words: "recv: ECONNRESET (104): what it means here".
class StatusText {
 public:
  explicit StatusText(const Status& status);
  [[nodiscard]] const char* text() const { return static_cast<const char*>(text_); }

 private:
  char text_[200];
};

// ---- Thresholds: any thread -----------------------------------------------------------------

[[nodiscard]] LogLevel log_threshold(LogThreshold which);
void log_set_threshold(LogThreshold which, LogLevel level);

// ---- Readers --------------------------------------------------------------------------------

// An environment that can read the ring. Of those that are there one does: the owner of the sink,
// else the oldest.
class LogReader {
 public:
  virtual ~LogReader() = default;
  // There is something to read. Any thread; short, and it must not log.
  virtual void log_ready() = 0;
};

void log_add_reader(std::shared_ptr<LogReader> reader);
// Gives the sink up, too. The reader is told nothing once this has returned.
void log_remove_reader(const LogReader* reader);
// That reader has the process's sink from now on, in the place of standard error; null: nobody has.
void log_set_sink(const LogReader* reader);
// Whether that reader has it: it may have gone to another one meanwhile.
[[nodiscard]] bool log_has_sink(const LogReader* reader);
// Whether log_read() would give the reader something.
[[nodiscard]] bool log_readable(const LogReader* reader);
// Takes the oldest records; none for a reader whose turn it is not.
[[nodiscard]] std::size_t log_read(const LogReader* reader, std::span<LogRecord> records);

}  // namespace rpma::core
