// SPDX-License-Identifier: BSD-3-Clause
//
// What several environments do to one peer at once, each on a thread of its own as a worker has it:
// they share the peer and a region, register and close regions of their own, connect, accept, post,
// drive in their own way, hand their connections on in the middle of the work, look at statistics
// and write to the log. Each operation has its outcome wherever its connection is by then, the last
// share ends what was shared, and nothing lives on. RPMA_SEED repeats a run.
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <thread>

#include "core/log.h"
#include "core/random.h"
#include "rma/shares.h"
#include "rma/ticket_table.h"
#include "test/engine.h"

namespace rpma::test {
namespace {

constexpr std::uint32_t kAll = 0xDF;
constexpr int kEnvironments = 4;
constexpr int kRounds = 250;
// Each connection has a place of its own in shared memory: it moves with operations in flight.
constexpr std::uint64_t kPlaceBytes = 256;
constexpr std::uint64_t kPlaces = 4096;
constexpr std::uint64_t kLong = 60'000;

constexpr auto take_any = [](const rma::Ticket&) { return core::Status::success(); };

std::uint64_t seed() {
  const char* chosen = std::getenv("RPMA_SEED");
  return chosen != nullptr ? std::strtoull(chosen, nullptr, 10) : core::secure_u32();
}

/** What all of them have. */
struct Ground {
  std::shared_ptr<rma::Peer> peer = open_peer();
  std::shared_ptr<rma::Peer> other = open_peer();
  std::shared_ptr<provider::Listener> listener;
  std::shared_ptr<rma::SharedRegion> local;        // of `peer`
  Memory target;                                   // of `other`
  std::array<std::string, kEnvironments> mailbox;  // a ticket from the environment before
  std::array<std::mutex, kEnvironments> mailbox_locks;
  std::atomic<int> adopted{0};
  std::atomic<std::uint64_t> accepted{0};

  Ground() {
    auto made = other->device().listen({"127.0.0.1", 0}, {});
    CHECK(made.ok());
    listener = std::move(made).value();
    target = make_memory(*other, kPlaceBytes * kPlaces, kAll);
    const Memory memory = make_memory(*peer, kPlaceBytes * kPlaces, kAll);
    local = std::make_shared<rma::SharedRegion>(
        rma::SharedRegion::Parts{.peer = peer,
                                 .region = memory.region,
                                 .library_memory = memory.mapping,
                                 .of_file = nullptr});
  }
};

class Environment {
 public:
  Environment(Ground& ground, int index, std::uint64_t seed)
      : ground_(ground),
        index_(static_cast<std::size_t>(index)),
        random_(seed),
        set_(::epoll_create1(EPOLL_CLOEXEC)) {}

  void run() {
    const auto share = ground_.peer;
    CHECK(ground_.local->join());
    for (int round = 0; round < kRounds; ++round) {
      if (!connection_) connect();
      if (!connection_) break;
      work();
      const std::uint64_t next = random_.below(8);
      if (next == 0) close();
      if (next >= 4) hand_on();
      if (random_.below(4) == 0) own_region();
      static_cast<void>(ground_.peer->device().statistics());
      RPMA_LOG(Debug, "environment %zu, round %d", index_, round);
    }
    if (connection_) close();
    ground_.local->leave([] {});
    ::close(set_);
  }

 private:
  void watch() {
    connection_->queue_pair().set_notify({bell_, 0});
    connection_->completion_queue()->set_notify({bell_, 0});
  }

  void connect() {
    auto made = rma::Connection::outgoing(ground_.peer, ground_.listener->address(), {});
    CHECK(made.ok());
    if (!made.ok()) return;
    connection_ = std::move(made).value();
    watch();
    CHECK(connection_->connect({}).ok());
    if (next_event(bell_, *connection_) == abi::ConnectionEvent::Established) return;
    CHECK(false);
    connection_.reset();
  }

  /** A few operations, some of which are on their way when the connection goes on. */
  void work() {
    const std::uint64_t number = connection_->queue_pair().number();
    const auto place = static_cast<double>(number % kPlaces * kPlaceBytes);
    for (std::uint64_t n = 1 + random_.below(6); n > 0; --n) {
      const bool read = random_.below(3) == 0;
      const auto kind = read ? abi::Operation::Read : abi::Operation::Write;
      const abi::Submission submission = at(operation(kind, 1, 64), *ground_.target.region,
                                            place + (read ? 0 : 128), place + (read ? 128 : 0));
      if (connection_->post(submission, ground_.local->region()).ok())
        ground_.accepted.fetch_add(1);
    }
    connection_->apply_peer_config(random_.below(2) == 0);
    const abi::Submission flush =
        at(operation(abi::Operation::Flush, 1, 8), *ground_.target.region, place);
    if (connection_->post(flush, nullptr).ok()) ground_.accepted.fetch_add(1);
    connection_->kick();
    const std::uint64_t driver = random_.below(3);
    if (driver == 1) connection_->completion_queue()->take_over(-1);
    if (driver == 2) connection_->completion_queue()->take_over(set_);
    collect();
  }

  void collect() {
    abi::Completion some[16];
    const std::uint32_t got = connection_->completion_queue()->poll(some, 16);
    for (std::uint32_t i = 0; i < got; ++i) CHECK_EQ(int{some[i].status}, 0);
    static_cast<void>(connection_->queue_pair().statistics());
  }

  /** To the next environment, which has its own: the two meet in the table of tickets. */
  void hand_on() {
    connection_->queue_pair().give_back();
    connection_->queue_pair().set_notify({});
    connection_->completion_queue()->set_notify({});
    rma::Ticket ticket;
    ticket.kind = abi::TicketKind::Connection;
    ticket.peer = ground_.peer;
    ticket.queue = connection_->completion_queue();
    ticket.connection = std::move(connection_);
    const auto token = rma::TicketTable::process().issue(std::move(ticket), kLong);
    REQUIRE(token.ok());
    std::string before = *token;
    {
      const std::size_t next = (index_ + 1) % kEnvironments;
      const std::lock_guard lock(ground_.mailbox_locks[next]);
      before.swap(ground_.mailbox[next]);
    }
    // What nobody had fetched there comes back to us.
    if (!before.empty()) adopt(before);
    if (!connection_) fetch();
  }

  void fetch() {
    std::string token;
    {
      const std::lock_guard lock(ground_.mailbox_locks[index_]);
      token.swap(ground_.mailbox[index_]);
    }
    if (!token.empty()) adopt(token);
  }

  void adopt(const std::string& token) {
    auto ticket = rma::TicketTable::process().adopt(token, abi::TicketKind::Connection, take_any);
    REQUIRE(ticket.ok());
    connection_ = ticket->connection;
    ground_.adopted.fetch_add(1);
    watch();
  }

  void close() {
    connection_->queue_pair().disconnect(5000);
    CHECK(bell_->until([&] {
      collect();
      return connection_->completion_queue()->drained();
    }));
    connection_.reset();
  }

  void own_region() {
    const Memory memory = make_memory(*ground_.peer, 64, kAll);
    std::atomic<bool> quiet{false};
    ground_.peer->device().deregister(memory.region, [&] {
      quiet.store(true);
      bell_->notify(0);
    });
    CHECK(bell_->until([&] { return quiet.load(); }));
  }

  Ground& ground_;
  const std::size_t index_;
  core::SeededRandom random_;
  const int set_;
  const std::shared_ptr<Bell> bell_ = std::make_shared<Bell>();
  std::shared_ptr<rma::Connection> connection_;
};

/** The environment that listens, for all the others. */
void accept_all(Ground& ground, const std::atomic<bool>& done) {
  const auto bell = std::make_shared<Bell>();
  ground.listener->set_notify({bell, 0});
  std::vector<std::shared_ptr<rma::Connection>> accepted;
  CHECK(bell->until([&] {
    while (const auto request = ground.listener->next()) {
      auto connection = rma::Connection::incoming(ground.other, request, {});
      CHECK(connection.ok());
      CHECK((*connection)->accept({}).ok());
      accepted.push_back(std::move(connection).value());
    }
    static_cast<void>(ground.other->device().statistics());
    return done.load();
  }));
  ground.listener->set_notify({});
}

TEST(environments_share_a_peer_and_hand_their_connections_on) {
  const std::uint64_t first = seed();
  std::printf("# RPMA_SEED=%llu\n", static_cast<unsigned long long>(first));
  Ground ground;
  std::atomic<bool> done{false};
  std::thread acceptor([&] { accept_all(ground, done); });
  std::vector<std::thread> threads;
  for (int i = 0; i < kEnvironments; ++i) {
    threads.emplace_back([&ground, i, first] {
      Environment(ground, i, first + static_cast<std::uint64_t>(i)).run();
    });
  }
  for (std::thread& thread : threads) thread.join();
  // What lies in a mailbox still is nobody's: its operations end with the peer.
  const provider::PeerStatistics now = ground.peer->device().statistics();
  const auto count = [&now](provider::Statistic what) {
    return now.connections[static_cast<std::size_t>(what)];
  };
  std::printf("# %llu connections, %llu operations, %d handed on\n",
              static_cast<unsigned long long>(
                  now.peer[static_cast<std::size_t>(provider::PeerStatistic::ConnectionsMade)]),
              static_cast<unsigned long long>(ground.accepted.load()), ground.adopted.load());
  CHECK(ground.adopted.load() > 0);
  CHECK_EQ(count(provider::Statistic::ReadsPosted) + count(provider::Statistic::WritesPosted) +
               count(provider::Statistic::FlushesPosted),
           ground.accepted.load());
  std::atomic<bool> quiet{false};
  CHECK(ground.local->leave([&quiet] { quiet.store(true); }));
  CHECK(!ground.local->join());
  rma::PeerShare(ground.peer);  // the last share ends the tickets, then the peer
  CHECK_EQ(rma::TicketTable::process().outstanding(), 0U);
  CHECK(quiet.load());
  done.store(true);
  acceptor.join();
  ground.other->close();
}

TEST(nothing_lives_on) { CHECK_EQ(core::live_total(), 0); }

}  // namespace
}  // namespace rpma::test
CHECK_MAIN()
