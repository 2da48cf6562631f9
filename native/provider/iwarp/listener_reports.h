// SPDX-License-Identifier: BSD-3-Clause
//
// What a listener has to tell its program besides requests: pauses, refusals and delays, counted by
// kind. However many there are, one report a kind waits, and the program is notified at most once
// in abi::kReportIntervalMs. The progress thread notes, any thread takes.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <vector>

#include "provider/iwarp/progress_thread.h"
#include "provider/provider.h"

namespace rpma::iwarp {

class ListenerReports final : public std::enable_shared_from_this<ListenerReports> {
 public:
  explicit ListenerReports(std::shared_ptr<ProgressThread> progress)
      : progress_(std::move(progress)) {}

  void set_notify(provider::NotifyTarget target);
  /** One more of its kind; `remote` is empty where no address is meant. */
  void note(abi::ReportKind kind, const std::string& remote, const Status& cause);
  /** What was announced; nothing before its time, even to one who looks for another reason. */
  std::vector<provider::Report> take();

 private:
  void announce();

  const std::shared_ptr<ProgressThread> progress_;
  std::mutex mutex_;  // guards what follows
  provider::NotifyTarget target_;
  std::array<provider::Report, abi::kReportKindCount> waiting_;
  enum class State : std::uint8_t {
    Empty,  // nothing waits
    Held,   // a timer will announce it
    Due,    // announced, and not taken yet
  } state_ = State::Empty;
  std::uint64_t quiet_ns_ = 0;  // until then nothing is announced
};

}  // namespace rpma::iwarp
