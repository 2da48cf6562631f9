// SPDX-License-Identifier: BSD-3-Clause
//
// Fuzz target: the extension on a connection that is up. Hello with any capabilities and version,
// requests, answers to operations of ours, Send with immediate and Immediate Data, each with every
// flaw, among the reads and writes whose order they keep. The story's words are fewer than in
// fuzz_receive.cc, and an answer more often meets an operation that waits for it.
#include "test/fuzz_script.h"

namespace rpma::test {
namespace {

constexpr std::uint16_t kEveryCapability = 0x000F;

constexpr std::array kWords = {
    Word::kFlush,       Word::kAtomicWrite, Word::kExtensionAnswer,
    Word::kPost,        Word::kAnswer,      Word::kWrite,
    Word::kReadRequest, Word::kSend,        Word::kFrame,
    Word::kDeliver,     Word::kHello,       Word::kImmediate,
    Word::kReceiveAll,  Word::kPoll,        Word::kHold,
    Word::kRevoke,
};

/** Operations of ours that wait for answers, as many as ORD lets out. */
void post_some(FuzzConnection& connection, std::size_t count) {
  static constexpr std::array kKinds = {abi::Operation::Flush, abi::Operation::AtomicWrite,
                                        abi::Operation::Read};
  for (std::size_t i = 0; i < count; ++i) {
    connection.post_send(kKinds[i % kKinds.size()], Grant::kLocal, i * 64, 32,
                         FuzzWorld::instance().area(Grant::kAll), 0, false);
  }
}

void story(FuzzInput input) {
  const std::uint8_t kind = input.u8();
  const std::size_t cut = input.u8();
  const bool initiator = (kind & 1) != 0;
  const bool crc = (kind & 2) != 0;
  const auto capabilities = static_cast<std::uint16_t>((kind & 4) != 0 ? input.u16() : 0x000F);
  const std::uint8_t version = (kind & 8) != 0 ? input.u8() : std::uint8_t{1};

  provider::QueuePairConfig config;
  config.crc = crc ? 1 : 0;
  config.inbound_reads = 4;
  config.outbound_reads = 4;
  config.send_queue_size = 8;
  config.receive_queue_size = 17;
  config.connect_timeout_ms = config.close_timeout_ms = 600'000;
  config.dead_peer_timeout_ms = 1000;  // its timer keeps the queue pair's memory
  if ((kind & 128) != 0) config.require_native = abi::kExtensionCapabilitiesFlush;

  iwarp::Negotiated negotiated;
  negotiated.initiator = initiator;
  negotiated.offered = true;
  negotiated.capabilities = initiator ? capabilities : std::uint16_t{0};
  negotiated.inbound_reads = negotiated.outbound_reads = config.inbound_reads;

  FuzzConnection connection(config);
  const bool agreed_crc = crc && (capabilities & iwarp::kCapabilityCrc) != 0;
  const bool takes_immediate = (capabilities & iwarp::kCapabilitySendImmediate) != 0;
  connection.peer().expect_frames(
      initiator ? std::optional(agreed_crc) : std::nullopt,
      takes_immediate
          ? iwarp::kExtendedOpcodes
          : static_cast<iwarp::OpcodeSet>(iwarp::kExtendedOpcodes & ~iwarp::kImmediateOpcodes));
  connection.establish(negotiated, {});
  FuzzScript script(connection, agreed_crc, cut);
  if (!initiator) {
    script.hello(capabilities, version);
    connection.deliver(cut);
  }
  if (capabilities == kEveryCapability) post_some(connection, kind >> 4 & 7);
  script.run(input, kWords);
  connection.finish((kind & 1) != 0);
}

}  // namespace
}  // namespace rpma::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  rpma::test::story({data, size});
  return 0;
}
