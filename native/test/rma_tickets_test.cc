// SPDX-License-Identifier: BSD-3-Clause
//
// The table of tickets and what they carry: each ticket ends exactly once, adopted or lapsed, also
// when several threads want it; what nobody adopted ends; shares end with the last of them; and a
// connection that is handed over, or in the way of memory that goes, is let go of.
#include <malloc.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "core/counters.h"
#include "rma/shares.h"
#include "rma/ticket_table.h"
#include "test/raw_peer.h"

namespace rpma::test {
namespace {

constexpr std::uint32_t kAll = 0xDF;
constexpr std::uint64_t kLong = 600'000;

constexpr auto take_any = [](const rma::Ticket&) { return core::Status::success(); };

std::int64_t live_tickets() { return core::counters().tickets.load(); }

rma::Ticket region_ticket(const std::shared_ptr<rma::SharedRegion>& region) {
  rma::Ticket ticket;
  ticket.kind = abi::TicketKind::Region;
  ticket.peer = region->peer();
  ticket.region = region;
  ticket.holds_region = region->join();
  CHECK(ticket.holds_region);
  return ticket;
}

std::shared_ptr<rma::SharedRegion> share(const std::shared_ptr<rma::Peer>& peer,
                                         const Memory& memory) {
  return std::make_shared<rma::SharedRegion>(rma::SharedRegion::Parts{
      .peer = peer, .region = memory.region, .library_memory = memory.mapping, .of_file = nullptr});
}

TEST(a_ticket_is_adopted_once_and_says_afterwards_why_not) {
  rma::TicketTable table;
  rma::Ticket ticket;
  ticket.kind = abi::TicketKind::Peer;
  ticket.note = "a note";
  const auto token = table.issue(std::move(ticket), kLong);
  REQUIRE(token.ok());
  CHECK(!table.adopt(*token, abi::TicketKind::Region, take_any).ok());
  const auto refusing = [](const rma::Ticket&) {
    return core::Status::failure(abi::Code::Foreign, "not here");
  };
  CHECK_EQ(table.adopt(*token, abi::TicketKind::Peer, refusing).status().code, abi::Code::Foreign);
  auto adopted = table.adopt(*token, abi::TicketKind::Peer, take_any);
  REQUIRE(adopted.ok());
  CHECK_EQ(adopted->note, "a note");
  const auto again = table.adopt(*token, abi::TicketKind::Peer, take_any);
  CHECK_EQ(again.status().code, abi::Code::HandOver);
  CHECK_EQ(std::string_view(again.status().detail).substr(0, 24), "the ticket was used befo");
  rma::TicketTable other;
  const auto foreign = other.adopt(*token, abi::TicketKind::Peer, take_any);
  CHECK_EQ(std::string_view(foreign.status().detail).substr(0, 32),
           "the ticket is of another process");
  CHECK_EQ(live_tickets(), 0);
}

TEST(a_full_table_refuses_and_what_was_refused_is_still_the_callers) {
  rma::TicketTable table;
  const auto peer = open_peer();
  const auto region = share(peer, make_memory(*peer, 64, kAll));
  for (std::uint64_t i = 0; i < abi::kTickets; ++i) CHECK(table.issue({}, kLong).ok());
  CHECK_EQ(table.issue(region_ticket(region), kLong).status().code, abi::Code::Limit);
  region->leave([] {});
  CHECK(!region->region()->revoked());
  region->leave([] {});
  CHECK(region->region()->revoked());
  peer->close();
}

TEST(what_nobody_adopts_ends_on_the_tables_thread_which_ends_with_the_last) {
  const std::int64_t threads = core::counters().threads.load();
  rma::TicketTable table;
  CHECK_EQ(core::counters().threads.load(), threads);
  const auto peer = open_peer();
  Pair pair = connect(peer, peer);
  const auto region = share(peer, make_memory(*peer, 64, kAll));
  rma::Ticket connection;
  connection.kind = abi::TicketKind::Connection;
  connection.connection = pair.client;
  CHECK(table.issue(std::move(connection), 1).ok());
  CHECK(table.issue(region_ticket(region), 1).ok());
  region->leave([] {});
  CHECK(next_event(pair.bell, *pair.server) != abi::ConnectionEvent::None);
  CHECK(wait_until([&] { return region->region()->revoked(); }));
  CHECK(wait_until([&] { return core::counters().threads.load() == threads + 2; }));  // the peer's
  CHECK_EQ(live_tickets(), 0);
  // And a new one begins with the next ticket.
  rma::Ticket late;
  late.kind = abi::TicketKind::Peer;
  late.peer_share = std::make_shared<rma::PeerShare>(peer);
  CHECK(table.issue(std::move(late), 1).ok());
  CHECK(wait_until([&] { return core::counters().threads.load() == threads; }));
  CHECK(!peer->device().create_completion_queue(1).ok());
}

TEST(the_last_share_of_a_peer_ends_the_tickets_of_what_was_made_from_it) {
  auto peer = open_peer();
  const auto other = open_peer();
  Pair pair = connect(peer, other);
  auto first = std::make_shared<rma::PeerShare>(peer);
  auto second = first;
  rma::Ticket ticket;
  ticket.kind = abi::TicketKind::Connection;
  ticket.peer = peer;
  ticket.connection = std::move(pair.client);
  rma::TicketTable& table = rma::TicketTable::process();
  const auto token = table.issue(std::move(ticket), kLong);
  REQUIRE(token.ok());
  first.reset();
  CHECK_EQ(table.outstanding(), 1U);
  second.reset();
  CHECK_EQ(table.outstanding(), 0U);
  const auto late = table.adopt(*token, abi::TicketKind::Connection, take_any);
  CHECK_EQ(std::string_view(late.status().detail).substr(0, 19), "its peer was closed");
  CHECK(next_event(pair.bell, *pair.server) != abi::ConnectionEvent::None);
  other->close();
}

TEST(of_many_threads_that_want_a_ticket_one_gets_it) {
  constexpr int kThreads = 4;
  constexpr int kTickets = 200;
  rma::TicketTable table;
  const auto peer = open_peer();
  for (int i = 0; i < kTickets; ++i) {
    const auto region = share(peer, make_memory(*peer, 64, kAll));
    // Some expire while they are wanted.
    const auto token = table.issue(region_ticket(region), i % 4 == 0 ? 1 : kLong);
    REQUIRE(token.ok());
    std::atomic<int> adopted{0};
    std::atomic<int> quiet{0};
    std::atomic<int> last{0};
    const auto leave = [&quiet, &last](rma::SharedRegion& left) {
      if (!left.leave([&quiet] { quiet.fetch_add(1); })) return;
      last.fetch_add(1);
      CHECK(left.outcome().ok());  // the last one's alone to read
    };
    std::vector<std::thread> wanting;
    for (int t = 0; t < kThreads; ++t) {
      wanting.emplace_back([&] {
        auto got = table.adopt(*token, abi::TicketKind::Region, take_any);
        if (!got.ok()) return;
        adopted.fetch_add(1);
        leave(*got->region);
      });
    }
    leave(*region);
    for (std::thread& thread : wanting) thread.join();
    CHECK(adopted.load() <= 1);
    CHECK(i % 4 == 0 || adopted.load() == 1);
    CHECK_EQ(quiet.load(), 1 + adopted.load());
    // Whoever was last, revoked, and alone was told so, unless it was a ticket that had lapsed.
    CHECK(last.load() <= 1);
    CHECK(i % 4 == 0 || last.load() == 1);
    CHECK(wait_until([&] { return region->region()->revoked(); }));
    CHECK(!region->join());
  }
  CHECK(wait_until([] { return live_tickets() == 0; }));
  peer->close();
}

/** How many descriptors an epoll set watches, as the kernel tells. */
int watched(int epoll_fd) {
  std::ifstream info("/proc/self/fdinfo/" + std::to_string(epoll_fd));
  int count = 0;
  for (std::string line; std::getline(info, line);) count += line.starts_with("tfd:") ? 1 : 0;
  return count;
}

TEST(a_connection_that_is_given_back_is_in_no_set_of_its_driver_and_goes_on) {
  const auto peer = open_peer();
  Pair pair = connect(peer, peer);
  const Memory memory = make_memory(*peer, 64, kAll);
  const int set = ::epoll_create1(EPOLL_CLOEXEC);
  for (int round = 0; round < 50; ++round) {
    pair.client->queue_pair().take_over(set);
    CHECK(watched(set) <= 1);  // it may have been taken back already
    pair.client->queue_pair().give_back();
    CHECK_EQ(watched(set), 0);
    auto flush = at(operation(abi::Operation::Flush, round, 8), *memory.region, 0);
    flush.flush_type = static_cast<std::uint8_t>(abi::FlushType::Visibility);
    CHECK(pair.client->post(flush, nullptr).ok());
    pair.client->kick();
    const auto done = completions(pair.bell, *pair.client->completion_queue(), 1);
    REQUIRE(done.size() == 1);
    CHECK_EQ(done[0].status, 0);
    CHECK_EQ(done[0].id, round);
  }
  ::close(set);
  peer->close();
}

TEST(a_connection_that_goes_to_and_fro_is_lent_once) {
  constexpr int kRounds = 100'000;
  constexpr std::size_t kGrowthMax = 256 * 1024;  // an entry for each round were 1.6 MB
  const auto peer = open_peer();
  Pair pair = connect(peer, peer);
  const int set = ::epoll_create1(EPOLL_CLOEXEC);
  const auto heap_bytes = [] {
    const auto info = ::mallinfo2();
    return info.uordblks + info.hblkhd;  // large blocks are mappings of their own
  };
  const std::size_t before = heap_bytes();
  for (int round = 0; round < kRounds; ++round) {
    pair.client->queue_pair().take_over(set);
    pair.client->queue_pair().give_back();
  }
  CHECK(heap_bytes() < before + kGrowthMax);
  ::close(set);
  peer->close();
}

TEST(an_evicted_region_is_quiet_soon_and_costs_only_the_connections_that_use_it) {
  // A receive that no message comes for, and a Read that the other side does not take.
  const auto peer = open_peer();
  Pair waits = connect(peer, peer);
  Pair idle = connect(peer, peer);
  const Memory memory = make_memory(*peer, 4096, kAll);
  CHECK(waits.server->post(operation(abi::Operation::Receive, 1, 64), memory.region).ok());
  std::atomic<bool> quiet{false};
  peer->device().deregister(memory.region, [&quiet] { quiet.store(true); });
  CHECK(!quiet.load());
  peer->device().evict(memory.region);
  CHECK(wait_until([&] { return quiet.load(); }));
  CHECK_EQ(next_event(waits.bell, *waits.server), abi::ConnectionEvent::Closed);
  CHECK_EQ(idle.server->queue_pair().state(), abi::ConnectionState::Established);
  peer->close();
}

TEST(a_reader_that_takes_nothing_does_not_keep_an_evicted_region) {
  constexpr std::uint32_t kReadBytes = 32U << 20;
  HostileTarget target;
  const Memory memory = make_memory(*target.peer, kReadBytes, kAll);
  RawPair pair = target.connect();
  CHECK(pair.raw.read(*memory.region, kReadBytes));
  REQUIRE(wait_until([&] { return memory.region->users() == 1; }));
  std::atomic<bool> quiet{false};
  target.peer->device().deregister(memory.region, [&quiet] { quiet.store(true); });
  target.peer->device().evict(memory.region);
  CHECK(wait_until([&] { return quiet.load(); }));
  // Aborted, not given up by the watch over answers, which says Lost.
  CHECK_EQ(target.event(*pair.connection).type, abi::ConnectionEvent::Closed);
  target.peer->close();
}

}  // namespace
}  // namespace rpma::test

CHECK_MAIN()
