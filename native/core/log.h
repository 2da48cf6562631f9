// SPDX-License-Identifier: BSD-3-Clause
// A minimal log for people who debug the library: silent unless RPMA_LOG is debug, info or warning
// when the first line would be written. Lines go to stderr, one write each. Any thread.
#pragma once

namespace rpma::core {

enum class LogLevel { Debug, Info, Warning, Off };

[[nodiscard]] bool log_enabled(LogLevel level);

[[gnu::format(printf, 2, 3)]] void log(LogLevel level, const char* format, ...);

}  // namespace rpma::core
