// SPDX-License-Identifier: BSD-3-Clause
//
// Tickets by which the environments of one process hand objects to each other. The table owns what
// a ticket carries from issue() to adopt() or its expiry; any thread. Expired tickets are ended by
// a thread of the table's own, which exists while tickets do: the issuing environment may have
// ended or be blocked, and ending a peer's last ticket joins that peer's progress thread. Lock
// order: the table's lock is taken last, and no payload is destroyed under it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/counters.h"
#include "core/function_ref.h"
#include "core/thread.h"
#include "rma/connection.h"
#include "rma/peer.h"
#include "rma/shares.h"

namespace rpma::rma {

/** What a ticket carries. Which members are set depends on its kind. */
struct Ticket {
  abi::TicketKind kind = abi::TicketKind::None;
  std::string note;            // what JavaScript knows of the object; never read here
  std::shared_ptr<Peer> peer;  // whose it is; no share of it
  std::shared_ptr<PeerShare> peer_share;
  std::shared_ptr<SharedRegion> region;
  bool holds_region = false;               // it is one of the region's holders
  std::shared_ptr<Connection> connection;  // null: it has ended, only its queues are left
  std::shared_ptr<provider::CompletionQueue> queue;
  std::shared_ptr<provider::CompletionQueue> receive_queue;

  /** Nobody adopted it: what it carries ends. */
  void lapse();
};

class TicketTable {
 public:
  TicketTable();
  ~TicketTable();
  TicketTable(const TicketTable&) = delete;
  TicketTable& operator=(const TicketTable&) = delete;

  /** The one of the process. */
  static TicketTable& process();

  /** The token. Limit when too many are outstanding; then the ticket has not lapsed. */
  Result<std::string> issue(Ticket ticket, std::uint64_t timeout_ms);
  /**
   * Takes a ticket out, once. `accept` is asked while it is still in the table: what it refuses
   * stays good. Codes: HandOver, with a detail that says what is wrong and what helps; Status of
   * accept.
   */
  Result<Ticket> adopt(std::string_view token, abi::TicketKind kind,
                       core::FunctionRef<Status(const Ticket&)> accept);
  /** The peer ends: nobody could adopt what was made from it. */
  void drop(const Peer& peer);
  std::size_t outstanding() const;

 private:
  struct Entry {
    Ticket ticket;
    std::uint64_t deadline_ns = 0;
  };
  enum class End : std::uint8_t { Used, Expired, Dropped };
  using Entries = std::map<std::string, Entry, std::less<>>;

  Status start_thread();
  void run();
  /** Out of the table, its end remembered; the lock is held. */
  Ticket remove(Entries::iterator entry, End end);
  Status refusal(std::string_view token) const;
  std::vector<Ticket> take_expired(std::uint64_t now_ns, std::uint64_t* next_ns);

  const std::string process_mark_;  // begins every token of this process

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  Entries entries_;
  std::unordered_map<std::string, End> ends_;  // of tickets that are not outstanding any more
  std::deque<std::string> ends_order_;
  bool thread_runs_ = false;
  bool stopping_ = false;
  core::Thread thread_;
};

}  // namespace rpma::rma
