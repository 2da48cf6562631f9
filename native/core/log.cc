// SPDX-License-Identifier: BSD-3-Clause
// See log.h. The level is read from the environment once, before any second thread matters.
#include "core/log.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace rpma::core {

namespace {

LogLevel level_from_environment() {
  const char* value = std::getenv("RPMA_LOG");
  if (value == nullptr) return LogLevel::Off;
  const std::string_view name(value);
  if (name == "debug") return LogLevel::Debug;
  if (name == "info") return LogLevel::Info;
  if (name == "warning") return LogLevel::Warning;
  return LogLevel::Off;
}

constexpr const char* level_name(LogLevel level) {
  switch (level) {
    case LogLevel::Debug:
      return "debug";
    case LogLevel::Info:
      return "info";
    case LogLevel::Warning:
    case LogLevel::Off:
      break;
  }
  return "warning";
}

}  // namespace

bool log_enabled(LogLevel level) {
  static const LogLevel threshold = level_from_environment();
  return level != LogLevel::Off && level >= threshold;
}

void log(LogLevel level, const char* format, ...) {
  if (!log_enabled(level)) return;
  char message[512];
  va_list arguments;
  va_start(arguments, format);
  static_cast<void>(std::vsnprintf(message, sizeof(message), format, arguments));
  va_end(arguments);
  // stderr is unbuffered and locked for the length of the call, so lines never mix.
  static_cast<void>(std::fprintf(stderr, "rpma %s: %s\n", level_name(level), message));
}

}  // namespace rpma::core
