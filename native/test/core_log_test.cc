// SPDX-License-Identifier: BSD-3-Clause
// The log: thresholds and the gate, the ring under many writers, who reads, and the words of a
// status. The log is the process's, so each test puts back what it changed.
#include "core/log.h"

#include <array>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "test/check.h"

namespace core = rpma::core;
namespace abi = rpma::abi;
using abi::LogLevel;
using abi::LogThreshold;
using rpma::kLogProvider;

namespace {

/** Reads the log while it lives, and counts its wake-ups. */
class Reader {
 public:
  Reader() { core::log_add_reader(wakes_); }
  ~Reader() {
    core::log_remove_reader(wakes_.get());
    core::log_set_threshold(LogThreshold::Sink, LogLevel::Warning);
    core::log_set_threshold(LogThreshold::Aux, LogLevel::Disabled);
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  core::LogReader* get() { return wakes_.get(); }
  int wake_ups() const { return wakes_->count.load(); }
  std::vector<core::LogRecord> read() {
    std::vector<core::LogRecord> all;
    std::array<core::LogRecord, 7> some;
    for (;;) {
      const std::size_t count = core::log_read(get(), some);
      if (count == 0) return all;
      all.insert(all.end(), some.begin(), some.begin() + static_cast<std::ptrdiff_t>(count));
    }
  }

 private:
  struct Wakes : core::LogReader {
    std::atomic<int> count{0};
    void log_ready() override { count.fetch_add(1); }
  };
  const std::shared_ptr<Wakes> wakes_ = std::make_shared<Wakes>();
};

int evaluated = 0;
int evaluate() { return ++evaluated; }

}  // namespace

TEST(log_costs_nothing_that_nobody_wants) {
  RPMA_LOG(Fatal, "the first line finds out that nobody reads: %d", evaluate());
  evaluated = 0;
  RPMA_LOG(Fatal, "not evaluated: %d", evaluate());
  CHECK_EQ(evaluated, 0);
  CHECK(!core::log_wanted(LogLevel::Fatal));
  const Reader reader;
  CHECK(core::log_wanted(LogLevel::Warning));
  CHECK(!core::log_wanted(LogLevel::Notice));
  RPMA_LOG(Notice, "not evaluated: %d", evaluate());
  CHECK_EQ(evaluated, 0);
}

TEST(log_records_say_what_where_and_when) {
  Reader reader;
  RPMA_LOG(Error, "number %d and %s", 7, "text");
  const std::vector<core::LogRecord> records = reader.read();
  CHECK_EQ(records.size(), 1);
  const core::LogRecord& record = records.front();
  CHECK_EQ(std::string(record.message), "number 7 and text");
  CHECK_EQ(std::string(record.file), "core_log_test.cc");
  CHECK(std::string(record.function).find("log_records") != std::string::npos);
  CHECK(record.line > 50);
  CHECK(record.provider == nullptr);
  CHECK_EQ(record.level, LogLevel::Error);
  CHECK_EQ(record.dropped, 0);
  const std::uint64_t year_2020_us = 1'577'836'800'000'000;
  CHECK(record.time_us > year_2020_us);
  CHECK_EQ(reader.wake_ups(), 1);
}

TEST(log_thresholds_are_the_process_s) {
  Reader reader;
  CHECK_EQ(core::log_threshold(LogThreshold::Sink), LogLevel::Warning);
  core::log_set_threshold(LogThreshold::Sink, LogLevel::Info);
  CHECK_EQ(core::log_threshold(LogThreshold::Sink), LogLevel::Info);
  CHECK_EQ(core::log_threshold(LogThreshold::Aux), LogLevel::Disabled);
  RPMA_LOG(Info, "kept");
  RPMA_LOG(Debug, "not kept");
  core::log_set_threshold(LogThreshold::Sink, LogLevel::Disabled);
  RPMA_LOG(Fatal, "not kept either");
  CHECK_EQ(reader.read().size(), 1);
}

TEST(log_cuts_a_long_message_and_says_so) {
  Reader reader;
  const std::string long_text(2 * abi::kLogMessageBytes, 'x');
  RPMA_LOG(Error, "%s", long_text.c_str());
  const std::string message = reader.read().at(0).message;
  CHECK_EQ(message.size(), abi::kLogMessageBytes - 1);
  CHECK_EQ(message.substr(message.size() - 4), "x...");
}

TEST(log_is_read_by_the_owner_of_the_sink_else_by_the_oldest) {
  Reader first;
  {
    Reader second;
    RPMA_LOG(Error, "one");
    CHECK_EQ(second.read().size(), 0);
    CHECK_EQ(first.read().size(), 1);
    core::log_set_sink(second.get());
    CHECK(core::log_has_sink(second.get()));
    CHECK(!core::log_has_sink(first.get()));
    RPMA_LOG(Error, "two");
    CHECK(!core::log_readable(first.get()));
    CHECK_EQ(first.read().size(), 0);
    CHECK(core::log_readable(second.get()));
    CHECK_EQ(second.read().size(), 1);
    RPMA_LOG(Error, "three, left behind by the one that ends");
  }
  CHECK(!core::log_has_sink(first.get()));
  CHECK_EQ(first.wake_ups(), 2);
  CHECK_EQ(first.read().size(), 1);
  core::log_set_sink(first.get());
  core::log_set_sink(nullptr);
  CHECK(!core::log_has_sink(first.get()));
  RPMA_LOG(Error, "four");
  CHECK_EQ(first.read().size(), 1);
}

TEST(log_counts_what_finds_no_room) {
  Reader reader;
  for (std::uint64_t i = 0; i < abi::kLogRecords + 5; ++i)
    RPMA_LOG(Error, "%d", static_cast<int>(i));
  std::vector<core::LogRecord> records = reader.read();
  CHECK_EQ(records.size(), abi::kLogRecords);
  for (const core::LogRecord& record : records) CHECK_EQ(record.dropped, 0);
  CHECK_EQ(std::string(records.back().message), std::to_string(abi::kLogRecords - 1));
  RPMA_LOG(Error, "after");
  RPMA_LOG(Error, "and after");
  records = reader.read();
  CHECK_EQ(records.size(), 2);
  CHECK_EQ(records[0].dropped, 5);
  CHECK_EQ(records[1].dropped, 0);
}

TEST(log_ring_counts_exactly_under_many_writers) {
  constexpr std::uint64_t kWriters = 4;
  constexpr std::uint64_t kEach = 20'000;
  core::LogRing<64> ring;
  std::atomic<std::uint64_t> accepted{0};
  std::atomic<std::uint64_t> writing{kWriters};
  std::vector<std::thread> writers;
  for (std::uint64_t writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&, writer] {
      for (std::uint64_t i = 0; i < kEach; ++i) {
        core::LogRecord record;
        record.time_us = writer * kEach + i;
        if (ring.push(record)) accepted.fetch_add(1);
      }
      writing.fetch_sub(1);
    });
  }
  std::uint64_t read = 0;
  std::uint64_t dropped = 0;
  std::vector<std::uint64_t> next(kWriters, 0);
  bool ordered = true;
  const auto drain = [&] {
    core::LogRecord record;
    while (ring.pop(record)) {
      ++read;
      dropped += record.dropped;
      const std::uint64_t writer = record.time_us / kEach;
      ordered = ordered && record.time_us % kEach >= next[writer];
      next[writer] = record.time_us % kEach + 1;
    }
  };
  while (writing.load() > 0) drain();
  for (std::thread& writer : writers) writer.join();
  drain();
  CHECK(ring.push({}));
  core::LogRecord last;
  CHECK(ring.pop(last));
  CHECK(ring.empty());
  CHECK(ordered);
  CHECK_EQ(read, accepted.load());
  CHECK_EQ(read + dropped + last.dropped, kWriters * kEach);
}

// Two writers and a reader that looks only when it was woken, in step: the last record of a round
// is written while the reader still reads. A lost wake-up leaves a round unread.
TEST(log_loses_no_wake_up) {
  constexpr int kWriters = 2;
  constexpr int kRounds = 3000;
  Reader reader;
  std::atomic<int> round{0};
  std::vector<std::thread> writers;
  for (int i = 0; i < kWriters; ++i) {
    writers.emplace_back([&round] {
      for (int mine = 1; mine <= kRounds; ++mine) {
        while (round.load() < mine) std::this_thread::yield();
        RPMA_LOG(Error, "round %d", mine);
      }
    });
  }
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  std::uint64_t seen = 0;
  int woken = 0;
  for (int now = 1; now <= kRounds; ++now) {
    round.store(now);
    while (seen < static_cast<std::uint64_t>(now) * kWriters) {
      if (std::chrono::steady_clock::now() > give_up) break;
      const int wake_ups = reader.wake_ups();
      if (wake_ups == woken) {
        std::this_thread::yield();
        continue;
      }
      woken = wake_ups;
      for (const core::LogRecord& record : reader.read()) seen += 1 + record.dropped;
    }
  }
  for (std::thread& writer : writers) writer.join();
  CHECK_EQ(seen, kWriters * kRounds);
}

// While one writer tells the reader, another one cannot: what it leaves must not be forgotten.
TEST(log_tells_again_what_came_while_it_told) {
  struct Slow : core::LogReader {
    int told = 0;
    void log_ready() override {
      if (++told > 1) return;
      std::thread([] { RPMA_LOG(Error, "meanwhile"); }).join();
    }
  };
  const auto slow = std::make_shared<Slow>();
  core::log_add_reader(slow);
  RPMA_LOG(Error, "first");
  core::log_remove_reader(slow.get());
  CHECK_EQ(slow->told, 2);
  Reader reader;
  CHECK_EQ(reader.read().size(), 2);
}

TEST(log_gate_knows_that_a_sink_silences_standard_error) {
  Reader reader;
  core::log_set_threshold(LogThreshold::Aux, LogLevel::Info);
  CHECK(core::log_wanted(LogLevel::Info));
  core::log_set_sink(reader.get());
  CHECK(!core::log_wanted(LogLevel::Info));
  CHECK(core::log_wanted(LogLevel::Warning));
  core::log_set_sink(nullptr);
  CHECK(core::log_wanted(LogLevel::Info));
}

TEST(log_readers_come_and_go_while_others_write) {
  std::atomic<bool> stop{false};
  std::vector<std::thread> writers;
  for (int i = 0; i < 3; ++i) {
    writers.emplace_back([&stop] {
      while (!stop.load()) RPMA_LOG(Error, "written");
    });
  }
  std::uint64_t seen = 0;
  for (int round = 0; round < 200 || seen == 0; ++round) {
    Reader reader;
    if (round % 2 == 0) core::log_set_sink(reader.get());
    std::array<core::LogRecord, 16> some;
    seen += core::log_read(reader.get(), some);
  }
  stop.store(true);
  for (std::thread& writer : writers) writer.join();
  CHECK(seen > 0);
  // Nothing of it is left for the tests behind.
  Reader reader;
  static_cast<void>(reader.read());
}

TEST(log_words_of_a_status) {
  const auto text = [](const core::Status& status) {
    return std::string(core::StatusText(status).text());
  };
  CHECK_EQ(text(core::Status::failure(abi::Code::Limit, "too many")), "too many");
  CHECK_EQ(text(core::Status::failure(abi::Code::Again)),
           "a queue is full; try again after a completion");
  CHECK_EQ(text(core::Status::from_errno(abi::Code::Provider, ECONNRESET, "recv", "gone")),
           "recv: ECONNRESET (104): gone");
}

CHECK_MAIN()
