// SPDX-License-Identifier: BSD-3-Clause
//
// Fuzz target: a connection that is up, of either role and towards any peer, and an other side that
// says anything. The first bytes of an input choose what was agreed on, the rest is a story
// (fuzz_script.h). Oracles: fuzz_world.h, fuzz_peer.h, fuzz_connection.h.
#include "test/fuzz_script.h"

namespace rpma::test {
namespace {

constexpr std::uint16_t kEveryCapability = 0x000F;

void story(FuzzInput input) {
  const std::uint8_t kind = input.u8();
  const std::uint8_t sizes = input.u8();
  const std::size_t cut = input.u8();
  const bool initiator = (kind & 1) != 0;
  const bool extension = (kind & 2) != 0;
  const bool crc = (kind & 4) != 0;

  provider::QueuePairConfig config;
  config.crc = crc ? 2 : ((kind & 8) != 0 ? 1 : 0);
  config.inbound_reads = 1U + (sizes & 7U);
  config.outbound_reads = (sizes >> 3U) & 3U;
  config.send_queue_size = 1U + (sizes >> 5U);
  config.receive_queue_size = 17;
  config.connect_timeout_ms = config.close_timeout_ms = 600'000;
  config.dead_peer_timeout_ms =
      1000;  // its timer keeps the queue pair's memory; it says nothing here
  config.max_frame_bytes = (kind & 16) != 0 ? 1 : 0;

  iwarp::Negotiated negotiated;
  negotiated.initiator = initiator;
  negotiated.offered = extension;
  negotiated.crc = crc;
  // A bit that only one side names must not count.
  negotiated.capabilities = extension && initiator ? kEveryCapability : 0;
  negotiated.peer_to_peer = (kind & 32) != 0;
  negotiated.large_frames = (kind & 64) != 0;
  negotiated.inbound_reads = config.inbound_reads;
  negotiated.outbound_reads = config.outbound_reads;
  const bool agreed_crc = crc || (extension && config.crc != 0);

  FuzzWorld::instance().context()->direct_write_to_pmem = (kind & 128) != 0;
  FuzzConnection connection(config);
  // A responder learns from the first frame what holds, and that one is the input's.
  connection.peer().expect_frames(
      initiator || !extension ? std::optional(agreed_crc) : std::nullopt,
      extension ? iwarp::kExtendedOpcodes : iwarp::kPlainOpcodes);
  connection.establish(negotiated, {});
  FuzzScript script(connection, agreed_crc, cut);
  if (extension && !initiator) script.hello(kEveryCapability, 1);
  script.run(input);
  connection.finish((sizes & 1) != 0);
}

}  // namespace
}  // namespace rpma::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  rpma::test::story({data, size});
  return 0;
}
