// SPDX-License-Identifier: BSD-3-Clause
//
// See ticket_table.h.
#include "rma/ticket_table.h"

#include <array>
#include <chrono>
#include <utility>

#include "core/clock.h"
#include "core/log.h"
#include "core/random.h"

namespace rpma::rma {
namespace {

constexpr std::size_t kTokenRandomBytes = 16;
constexpr std::size_t kEndsRemembered = abi::kTickets;

template <std::size_t kBytes>
std::string random_hex() {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::array<std::uint8_t, kBytes> bytes{};
  core::secure_bytes(bytes.data(), bytes.size());
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text.push_back(kDigits[byte >> 4U]);
    text.push_back(kDigits[byte & 15U]);
  }
  return text;
}

Status refused(const char* detail) { return Status::failure(abi::Code::HandOver, detail); }

Status wrong_kind(abi::TicketKind kind) {
  switch (kind) {
    case abi::TicketKind::Peer:
      return refused("the ticket is for a peer: use Peer.adopt(); it stays good");
    case abi::TicketKind::Region:
      return refused("the ticket is for a region: use MemoryRegion.adopt(); it stays good");
    case abi::TicketKind::Request:
      return refused("the ticket is for a request: use IncomingRequest.adopt(); it stays good");
    case abi::TicketKind::Connection:
    case abi::TicketKind::None:
      break;
  }
  return refused("the ticket is for a connection: use Connection.adopt(); it stays good");
}

}  // namespace

void Ticket::lapse() {
  if (kind == abi::TicketKind::Request) {
    static_cast<void>(connection->reject({}));
  } else if (connection) {
    connection->queue_pair().abort(
        Status::failure(abi::Code::Closed, "handed over, and not adopted in time"));
  }
  if (holds_region) region->leave([] {});
  holds_region = false;
  peer_share.reset();
}

TicketTable::TicketTable() : process_mark_(random_hex<8>()) {}

TicketTable::~TicketTable() {
  Entries left;
  core::Thread thread;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    left.swap(entries_);
    thread = std::move(thread_);
  }
  changed_.notify_all();
  if (thread.running()) thread.join();
  for (auto& [token, entry] : left) {
    core::count(core::counters().tickets, -1);
    entry.ticket.lapse();
  }
}

TicketTable& TicketTable::process() {
  static TicketTable table;
  return table;
}

Status TicketTable::start_thread() {
  if (thread_runs_) return Status::success();
  // The one before has left the lock for the last time and is about to return.
  if (thread_.running()) thread_.join();
  Result<core::Thread> thread = core::Thread::start("rpma-tickets", [this] { run(); });
  if (!thread.ok()) return thread.status();
  thread_ = std::move(thread).value();
  thread_runs_ = true;
  return Status::success();
}

Result<std::string> TicketTable::issue(Ticket ticket, std::uint64_t timeout_ms) {
  std::string token = process_mark_ + random_hex<kTokenRandomBytes>();
  const std::uint64_t deadline = core::now_ns() + timeout_ms * core::kNanosecondsPerMillisecond;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || entries_.size() >= abi::kTickets) {
      return Status::failure(abi::Code::Limit,
                             "1024 tickets are outstanding in this process: adopt some, or let "
                             "them expire");
    }
    const Status started = start_thread();
    if (!started.ok()) return started;
    entries_.emplace(token, Entry{.ticket = std::move(ticket), .deadline_ns = deadline});
    core::count(core::counters().tickets);
  }
  changed_.notify_all();
  return token;
}

Result<Ticket> TicketTable::adopt(std::string_view token, abi::TicketKind kind,
                                  core::FunctionRef<Status(const Ticket&)> accept) {
  Ticket ticket;
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(token);
    if (found == entries_.end()) return refusal(token);
    if (found->second.ticket.kind != kind) return wrong_kind(found->second.ticket.kind);
    // Expired, though the thread has not come to it yet: it must not depend on who is faster.
    if (core::now_ns() >= found->second.deadline_ns) {
      return refused(
          "the ticket has expired: adopt it sooner, or issue it with a longer timeoutMs");
    }
    const Status accepted = accept(found->second.ticket);
    if (!accepted.ok()) return accepted;
    ticket = remove(found, End::Used);
  }
  changed_.notify_all();
  return ticket;
}

void TicketTable::drop(const Peer& peer) {
  std::vector<Ticket> dropped;
  {
    const std::lock_guard lock(mutex_);
    for (auto entry = entries_.begin(); entry != entries_.end();) {
      const auto next = std::next(entry);
      if (entry->second.ticket.peer.get() == &peer) dropped.push_back(remove(entry, End::Dropped));
      entry = next;
    }
  }
  if (dropped.empty()) return;
  changed_.notify_all();
  for (Ticket& ticket : dropped) ticket.lapse();
}

std::size_t TicketTable::outstanding() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

Ticket TicketTable::remove(Entries::iterator entry, End end) {
  if (ends_order_.size() >= kEndsRemembered) {
    ends_.erase(ends_order_.front());
    ends_order_.pop_front();
  }
  ends_.emplace(entry->first, end);
  ends_order_.push_back(entry->first);
  Ticket ticket = std::move(entry->second.ticket);
  entries_.erase(entry);
  core::count(core::counters().tickets, -1);
  return ticket;
}

Status TicketTable::refusal(std::string_view token) const {
  const auto known = ends_.find(std::string(token));
  if (known != ends_.end() && known->second == End::Used) {
    return refused("the ticket was used before, and is good once: issue one for each adopter");
  }
  if (known != ends_.end() && known->second == End::Dropped) {
    return refused("its peer was closed before the ticket was adopted: keep it open until then");
  }
  if (known != ends_.end()) {
    return refused("the ticket has expired: adopt it sooner, or issue it with a longer timeoutMs");
  }
  const bool well_formed = token.size() == process_mark_.size() + 2 * kTokenRandomBytes;
  if (well_formed && !token.starts_with(process_mark_)) {
    return refused("the ticket is of another process: open a peer of its own there and connect");
  }
  return refused("no such ticket is known: pass on, unchanged, what share() or handOver() gave");
}

std::vector<Ticket> TicketTable::take_expired(std::uint64_t now_ns, std::uint64_t* next_ns) {
  std::vector<Ticket> expired;
  *next_ns = UINT64_MAX;
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    const auto next = std::next(entry);
    const std::uint64_t deadline = entry->second.deadline_ns;
    if (deadline <= now_ns) {
      expired.push_back(remove(entry, End::Expired));
    } else if (deadline < *next_ns) {
      *next_ns = deadline;
    }
    entry = next;
  }
  return expired;
}

/** Of the table's thread: ends tickets at their time, and itself with the last of them. */
void TicketTable::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const std::uint64_t now = core::now_ns();
    std::uint64_t next = 0;
    std::vector<Ticket> expired = take_expired(now, &next);
    if (!expired.empty()) {
      lock.unlock();
      RPMA_LOG(Notice, "%zu tickets expired, adopted by nobody", expired.size());
      for (Ticket& ticket : expired) ticket.lapse();
      expired.clear();
      lock.lock();
      continue;
    }
    if (entries_.empty()) break;
    changed_.wait_for(lock, std::chrono::nanoseconds(next - now));
  }
  thread_runs_ = false;
}

}  // namespace rpma::rma
