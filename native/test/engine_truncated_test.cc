// SPDX-License-Identifier: BSD-3-Clause
//
// A file that is cut short under a mapping must not kill the process: whoever touches the missing
// pages ends the connection and poisons the region. Every way the engine touches file memory, with
// and without CRC, small (copied) and large (sent or received in place).
#include <unistd.h>

#include "test/engine.h"

namespace rpma::test {
namespace {

constexpr std::uint64_t kSize = 1 << 20;
constexpr std::uint32_t kAll = 0xDF;

struct File {
  std::string path;
  Memory memory;
};

File make_file(rma::Peer& peer, const TemporaryDirectory& directory) {
  File file;
  file.path = directory.path() + "/region";
  memory::MapOptions options;
  options.size = kSize;
  options.create = true;
  options.allow_volatile = true;
  auto mapping = memory::Mapping::file(file.path, options);
  CHECK(mapping.ok());
  file.memory.mapping = *mapping;
  memory::RegionOptions region;
  region.data = file.memory.mapping->data();
  region.length = kSize;
  region.usage = kAll;
  region.mapping = file.memory.mapping;
  auto made = peer.device().register_memory(std::move(region));
  CHECK(made.ok());
  file.memory.region = std::move(made).value();
  return file;
}

/** The operation meets the missing half of the file; both sides end, and both processes' memory
 * lives. */
void cut(abi::Operation kind, bool local_is_file, double length, std::uint8_t crc) {
  const auto peer = open_peer();
  const auto other = open_peer();
  const TemporaryDirectory directory;
  rma::ConnectionOptions options;
  options.queue_pair.crc = crc;
  Pair pair = connect(peer, other, options, options);
  const File file = make_file(local_is_file ? *peer : *other, directory);
  const Memory memory = make_memory(local_is_file ? *other : *peer, kSize, kAll);
  const Memory& local = local_is_file ? file.memory : memory;
  const Memory& remote = local_is_file ? memory : file.memory;
  CHECK_EQ(::truncate(file.path.c_str(), 4096), 0);
  abi::Submission submission = operation(kind, 1, length);
  if (kind != abi::Operation::Send) submission = at(submission, *remote.region, 8192);
  submission.local_offset = 8192;
  const bool has_local = kind != abi::Operation::AtomicWrite;
  CHECK(pair.client->post(submission, has_local ? local.region : nullptr).ok());
  // Something behind it whose outcome cannot come before it is executed there.
  static_cast<void>(
      pair.client->post(at(operation(abi::Operation::Flush, 2, 0), *remote.region, 0), {}));
  pair.client->kick();
  CHECK(next_event(pair.bell, *pair.client) == abi::ConnectionEvent::Lost);
  const auto done = completions(pair.bell, *pair.client->completion_queue(), 2);
  CHECK_EQ(done.size(), 2u);
  // What failed is the program's own memory, and its operation says so.
  constexpr int kOwn = static_cast<int>(abi::CompletionStatus::LocalProtection);
  if (local_is_file) CHECK_EQ(int{done[0].status}, kOwn);
  CHECK(pair.bell->until([&] { return file.memory.region->poisoned(); }));
  peer->close();
  other->close();
}

void cut_both(abi::Operation kind, bool local_is_file, double length) {
  cut(kind, local_is_file, length, 0);
  cut(kind, local_is_file, length, 1);
}

TEST(source_of_a_small_write) { cut_both(abi::Operation::Write, true, 8); }
TEST(source_of_a_large_write) { cut_both(abi::Operation::Write, true, 500'000); }
TEST(target_of_a_small_write) { cut_both(abi::Operation::Write, false, 8); }
TEST(target_of_a_large_write) { cut_both(abi::Operation::Write, false, 500'000); }
TEST(source_of_a_small_read) { cut_both(abi::Operation::Read, false, 8); }
TEST(source_of_a_large_read) { cut_both(abi::Operation::Read, false, 500'000); }
TEST(sink_of_a_small_read) { cut_both(abi::Operation::Read, true, 8); }
TEST(sink_of_a_large_read) { cut_both(abi::Operation::Read, true, 500'000); }
TEST(source_of_a_message) { cut_both(abi::Operation::Send, true, 8); }
TEST(target_of_an_atomic_write) { cut_both(abi::Operation::AtomicWrite, false, 8); }

TEST(nothing_lives_on) { CHECK_EQ(core::live_total(), 0); }

}  // namespace
}  // namespace rpma::test
CHECK_MAIN()
