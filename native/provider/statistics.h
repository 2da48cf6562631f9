// SPDX-License-Identifier: BSD-3-Clause
//
// What an operator may want to know of a connection and of a peer, as numbers that only grow unless
// they are said to be of this moment. Whoever holds the lock over a state counts what happens to
// it, so adding is a load and a store of a word that is in that thread's cache already; any thread
// reads. docs/reference/statistics.md says what each means and in which unit.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace rpma::provider {

// Of operations the three stand together, kinds in the order of abi::Operation.
#define RPMA_CONNECTION_STATISTICS(X)               \
  X(ReadsPosted, "readsPosted")                     \
  X(ReadsCompleted, "readsCompleted")               \
  X(ReadsFailed, "readsFailed")                     \
  X(WritesPosted, "writesPosted")                   \
  X(WritesCompleted, "writesCompleted")             \
  X(WritesFailed, "writesFailed")                   \
  X(AtomicWritesPosted, "atomicWritesPosted")       \
  X(AtomicWritesCompleted, "atomicWritesCompleted") \
  X(AtomicWritesFailed, "atomicWritesFailed")       \
  X(FlushesPosted, "flushesPosted")                 \
  X(FlushesCompleted, "flushesCompleted")           \
  X(FlushesFailed, "flushesFailed")                 \
  X(SendsPosted, "sendsPosted")                     \
  X(SendsCompleted, "sendsCompleted")               \
  X(SendsFailed, "sendsFailed")                     \
  X(ReceivesPosted, "receivesPosted")               \
  X(ReceivesCompleted, "receivesCompleted")         \
  X(ReceivesFailed, "receivesFailed")               \
  X(FlushesNative, "flushesNative")                 \
  X(FlushesEmulated, "flushesEmulated")             \
  X(SendQueueFull, "sendQueueFull")                 \
  X(ReceiveQueueFull, "receiveQueueFull")           \
  X(BytesSent, "bytesSent")                         \
  X(FramesSent, "framesSent")                       \
  X(BytesReceived, "bytesReceived")                 \
  X(FramesReceived, "framesReceived")               \
  X(ChecksumErrors, "checksumErrors")               \
  X(WritesServed, "writesServed")                   \
  X(ReadsServed, "readsServed")                     \
  X(FlushesServed, "flushesServed")                 \
  X(AtomicWritesServed, "atomicWritesServed")       \
  X(Persists, "persists")                           \
  X(PersistFailures, "persistFailures")             \
  X(MessagesParked, "messagesParked")               \
  X(ReceiveStalls, "receiveStalls")                 \
  X(Turns, "turns")                                 \
  X(TurnsCut, "turnsCut")                           \
  X(TakeOvers, "takeOvers")                         \
  X(TakeBacks, "takeBacks")

#define RPMA_PEER_STATISTICS(X)                       \
  X(ConnectionsMade, "connectionsMade")               \
  X(ConnectionsOpen, "connectionsOpen")               \
  X(ConnectionsEstablished, "connectionsEstablished") \
  X(ConnectionsClosed, "connectionsClosed")           \
  X(ConnectionsLost, "connectionsLost")               \
  X(ConnectionsRejected, "connectionsRejected")       \
  X(ConnectionsUnreachable, "connectionsUnreachable") \
  X(ConnectionsRefused, "connectionsRefused")         \
  X(SetupsRefused, "setupsRefused")                   \
  X(SetupsDelayed, "setupsDelayed")                   \
  X(AcceptPauses, "acceptPauses")                     \
  X(ProtectionErrors, "protectionErrors")

#define RPMA_STATISTIC_ENTRY(name, text) name,
enum class Statistic : std::uint8_t { RPMA_CONNECTION_STATISTICS(RPMA_STATISTIC_ENTRY) Count };
enum class PeerStatistic : std::uint8_t { RPMA_PEER_STATISTICS(RPMA_STATISTIC_ENTRY) Count };
#undef RPMA_STATISTIC_ENTRY

inline constexpr std::size_t kStatistics = static_cast<std::size_t>(Statistic::Count);
inline constexpr std::size_t kPeerStatistics = static_cast<std::size_t>(PeerStatistic::Count);

#define RPMA_STATISTIC_NAME(name, text) text,
inline constexpr std::array<const char*, kStatistics> kStatisticNames{
    RPMA_CONNECTION_STATISTICS(RPMA_STATISTIC_NAME)};
inline constexpr std::array<const char*, kPeerStatistics> kPeerStatisticNames{
    RPMA_PEER_STATISTICS(RPMA_STATISTIC_NAME)};
#undef RPMA_STATISTIC_NAME

using Statistics = std::array<std::uint64_t, kStatistics>;

struct PeerStatistics {
  std::array<std::uint64_t, kPeerStatistics> peer{};
  Statistics connections{};  // of all its connections, those that have ended included
};

/** Of one connection. Each number has one writer at a time: who holds its state's lock. */
class ConnectionCounts {
 public:
  void add(Statistic what, std::uint64_t by = 1) {
    std::atomic<std::uint64_t>& value = values_[static_cast<std::size_t>(what)];
    value.store(value.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t get(Statistic what) const {
    return values_[static_cast<std::size_t>(what)].load(std::memory_order_relaxed);
  }
  void add_to(Statistics& sum) const {
    for (std::size_t i = 0; i < kStatistics; ++i) {
      sum[i] += values_[i].load(std::memory_order_relaxed);
    }
  }

 private:
  std::array<std::atomic<std::uint64_t>, kStatistics> values_{};
};

/** Of one peer: rare events, from any thread. */
class PeerCounts {
 public:
  void add(PeerStatistic what) {
    values_[static_cast<std::size_t>(what)].fetch_add(1, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t get(PeerStatistic what) const {
    return values_[static_cast<std::size_t>(what)].load(std::memory_order_relaxed);
  }

 private:
  std::array<std::atomic<std::uint64_t>, kPeerStatistics> values_{};
};

/** What becomes of an operation; the first is of its post. */
enum class Fate : std::uint8_t { Posted, Completed, Failed };

/** The number of an operation's kind: receives are one kind, whatever used them. */
constexpr Statistic statistic_of(std::uint8_t operation, Fate fate) {
  constexpr std::uint8_t kKinds = 6;
  const std::uint8_t kind = operation > kKinds ? kKinds : operation;
  return static_cast<Statistic>((kind - 1) * 3 + static_cast<std::uint8_t>(fate));
}

}  // namespace rpma::provider
