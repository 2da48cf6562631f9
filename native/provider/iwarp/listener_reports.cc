// SPDX-License-Identifier: BSD-3-Clause
//
// See listener_reports.h.
#include "provider/iwarp/listener_reports.h"

#include <cinttypes>

#include "core/clock.h"
#include "provider/iwarp/log.h"

namespace rpma::iwarp {
namespace {

/** Of a report, for the log. */
const char* deed_of(abi::ReportKind kind) {
  switch (kind) {
    case abi::ReportKind::AcceptPaused:
      return "accepting paused";
    case abi::ReportKind::SetupRefused:
      return "set-ups closed";
    case abi::ReportKind::ConnectionRefused:
      return "connections refused";
    case abi::ReportKind::AddressSlowed:
      return "set-ups delayed";
    case abi::ReportKind::None:
      break;
  }
  return "nothing";
}

}  // namespace

void ListenerReports::set_notify(provider::NotifyTarget target) {
  bool pending = false;
  {
    const std::lock_guard lock(mutex_);
    target_ = target;
    pending = state_ == State::Due;
  }
  if (pending) target.notify();
}

void ListenerReports::note(abi::ReportKind kind, const std::string& remote, const Status& cause) {
  const std::uint64_t now = core::now_ns();
  std::uint64_t announce_ns = 0;
  {
    const std::lock_guard lock(mutex_);
    provider::Report& report = waiting_[static_cast<std::size_t>(kind)];
    report.kind = kind;
    ++report.count;
    report.address = remote;
    report.cause = cause;
    if (state_ != State::Empty) return;
    state_ = State::Held;
    announce_ns = quiet_ns_;
  }
  if (announce_ns <= now) return announce();
  progress_->add_timer(announce_ns, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->announce();
  });
}

void ListenerReports::announce() {
  provider::NotifyTarget target;
  {
    const std::lock_guard lock(mutex_);
    quiet_ns_ = core::now_ns() + abi::kReportIntervalMs * core::kNanosecondsPerMillisecond;
    state_ = State::Due;
    target = target_;
    for (const provider::Report& report : waiting_) {
      if (report.count == 0) continue;
      RPMA_LOG(Warning, "%s, %" PRIu64 " times since the last report; the newest%s%s: %s",
               deed_of(report.kind), report.count, report.address.empty() ? "" : " from ",
               report.address.c_str(), core::StatusText(report.cause).text());
    }
  }
  target.notify();
}

std::vector<provider::Report> ListenerReports::take() {
  std::vector<provider::Report> taken;
  const std::lock_guard lock(mutex_);
  if (state_ != State::Due) return taken;
  for (provider::Report& report : waiting_) {
    if (report.count == 0) continue;
    taken.push_back(std::move(report));
    report = {};
  }
  state_ = State::Empty;
  return taken;
}

}  // namespace rpma::iwarp
