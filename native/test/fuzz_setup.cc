// SPDX-License-Identifier: BSD-3-Clause
//
// Fuzz target: how a connection comes up, through the engine's own listener and connector. An input
// is three bytes of choices and then all that the other side ever says: a Request or a Reply, word,
// private data and trailer included, and frames behind it, cut anywhere. What we answer must be a
// set-up frame, and one that the other role takes.
#include <poll.h>

#include "core/random.h"
#include "provider/iwarp/connector.h"
#include "provider/iwarp/listener.h"
#include "test/fuzz_connection.h"

namespace rpma::test {
namespace {

/** What the first byte chooses. */
struct Choices {
  bool active = false;
  std::uint8_t crc = 1;
  bool reject = false;
  bool require_native = false;
  bool border = true;  // of the Request: nothing behind it before our Reply
  bool frames = true;  // behind the set-up frame get their right length and checksum
};

class SetupStory {
 public:
  explicit SetupStory(FuzzInput input) {
    const std::uint8_t kind = input.u8();
    choices_.active = (kind & 1) != 0;
    choices_.crc = static_cast<std::uint8_t>((kind >> 1 & 3) % 3);
    choices_.reject = (kind & 8) != 0;
    choices_.require_native = (kind & 16) != 0;
    choices_.border = (kind & 32) == 0;
    choices_.frames = (kind & 64) == 0;
    cuts_ = input.u8();
    private_data_.assign(input.u8(), 0x70);
    const auto said = input.rest();
    stream_.assign(said.begin(), said.end());
    config_.crc = choices_.crc;
    config_.receive_queue_size = 4;
    config_.connect_timeout_ms = config_.close_timeout_ms = 600'000;
    config_.dead_peer_timeout_ms = 1000;  // its timer keeps the queue pair's memory
    if (choices_.require_native) config_.require_native = abi::kExtensionCapabilitiesAtomicWrite;
  }

  void run() {
    const iwarp::SetupKind kind =
        choices_.active ? iwarp::SetupKind::kReply : iwarp::SetupKind::kRequest;
    const iwarp::SetupParse parse = iwarp::parse_setup(stream_, kind);
    const bool whole = parse.state == iwarp::ParseState::kComplete;
    border_ = whole ? parse.frame.frame_bytes : stream_.size();
    if (whole && choices_.frames) mend_frames();
    if (choices_.active) {
      be_active();
    } else {
      be_passive();
    }
  }

 private:
  /** With the checksums right the frames behind the set-up are looked at. */
  void mend_frames() {
    std::span<std::byte> left = std::span(stream_).subspan(border_);
    while (left.size() >= iwarp::kUlpduLengthBytes) {
      const std::size_t ulpdu = core::load_be16(left.data());
      const std::size_t total = iwarp::fpdu_bytes(ulpdu);
      if (left.size() < total) return;
      const std::size_t body = iwarp::kUlpduLengthBytes + ulpdu;
      const std::uint32_t state = iwarp::crc32c(iwarp::kCrc32cBegin, left.data(), body);
      static_cast<void>(iwarp::encode_trailer(left.subspan(body), ulpdu, state));
      left = left.subspan(total);
    }
  }

  /** The bytes [begin, end) of the stream, in pieces that the seed chooses. */
  template <typename Turn>
  void feed(FuzzPeer& peer, std::size_t begin, std::size_t end, Turn turn) {
    core::SeededRandom random(cuts_);
    int pieces = 0;
    while (begin < end) {
      std::size_t bytes = end - begin;
      if (cuts_ != 0 && ++pieces < 64) {
        bytes = std::min<std::size_t>(bytes, 1 + random.below(1 + random.below(64)));
      }
      peer.queue(std::span(stream_).subspan(begin, bytes));
      static_cast<void>(peer.hand_over(bytes));
      begin += bytes;
      turn();
    }
  }

  void be_active() {
    FuzzConnection connection(config_);
    FuzzPeer& peer = connection.peer();
    if (private_data_.size() > iwarp::kApplicationDataBytesMax) {
      private_data_.resize(iwarp::kApplicationDataBytesMax);
    }
    const auto connector =
        std::make_shared<iwarp::Connector>(connection.shared(), peer.take_engine(), private_data_);
    connector->on_ready(EPOLLOUT);
    peer.read_all();
    const auto asked = iwarp::parse_setup(peer.setup(), iwarp::SetupKind::kRequest);
    expect(asked.state == iwarp::ParseState::kComplete, "our Request cannot be parsed");
    expect(iwarp::setup_is_offer(asked.frame), "our Request has no offer");
    expect(asked.frame.private_data.size() == private_data_.size(), "our Request's private data");
    peer.drop_setup(asked.frame.frame_bytes);
    peer.expect_frames(std::nullopt, iwarp::kExtendedOpcodes);
    feed(peer, 0, stream_.size(), [&] {
      connector->on_ready(EPOLLIN);
      if (connection.queue_pair().state() == abi::ConnectionState::Established) {
        connection.take_out_of_set();
      }
      connection.drive();
    });
    peer.send_fin();
    connector->on_ready(EPOLLIN);
    connector->cancel();
    connection.finish(false);
  }

  static std::shared_ptr<iwarp::Listener> listener() {
    // Its own socket never hears of anybody: the set-ups are handed to it.
    auto listening = iwarp::Listener::open(FuzzWorld::instance().context(), {"127.0.0.1", 0}, {});
    expect(listening.ok(), "no listener");
    FuzzWorld::instance().rebase();
    return std::move(listening).value();
  }

  void be_passive() {
    static const std::shared_ptr<iwarp::Listener> kListener = listener();
    FuzzConnection connection;
    FuzzPeer& peer = connection.peer();
    auto setup =
        std::make_shared<iwarp::PendingSetup>(kListener, peer.take_engine(), provider::Address{});
    const std::size_t first = choices_.border ? border_ : stream_.size();
    feed(peer, 0, first, [&] { setup->on_ready(EPOLLIN); });
    std::shared_ptr<provider::IncomingRequest> request = kListener->next();
    const auto asked = iwarp::parse_setup(stream_, iwarp::SetupKind::kRequest);
    const bool whole = asked.state == iwarp::ParseState::kComplete;
    if (!request) {
      expect(!whole || asked.frame.markers || !choices_.border, "a Request got lost");
      if (whole && asked.frame.markers && choices_.border) expect_reply(peer, true);
      setup.reset();
      return connection.discard();
    }
    setup.reset();
    expect(whole && !asked.frame.markers, "a Request out of nothing");
    if (choices_.reject) {
      const bool fits = private_data_.size() <= iwarp::kApplicationDataBytesMax;
      expect(request->reject(private_data_).ok() == fits, "a rejection");
      request.reset();
      expect_reply(peer, true);
      return connection.discard();
    }
    accept(connection, std::move(request), asked.frame, first);
  }

  std::shared_ptr<iwarp::QueuePair> prepare(const FuzzConnection& connection,
                                            provider::IncomingRequest& request) const {
    provider::QueuePairConfig config = config_;
    config.send_completions = config.receive_completions = connection.completions();
    auto prepared = request.prepare(config);
    expect(prepared.ok(), "a request cannot be prepared");
    return std::static_pointer_cast<iwarp::QueuePair>(*prepared);
  }

  void accept(FuzzConnection& connection, std::shared_ptr<provider::IncomingRequest> request,
              const iwarp::SetupFrame& asked, std::size_t first) {
    FuzzPeer& peer = connection.peer();
    connection.adopt_queue_pair(prepare(connection, *request));
    const bool fits = private_data_.size() <= iwarp::kApplicationDataBytesMax;
    expect(request->accept(private_data_).ok() == fits, "an acceptance");
    connection.take_out_of_set();
    const bool offered = iwarp::setup_is_offer(asked);
    const bool refused = !fits || (choices_.require_native && !offered);
    request.reset();
    expect_reply(peer, refused);
    peer.expect_frames(std::nullopt, offered ? iwarp::kExtendedOpcodes : iwarp::kPlainOpcodes);
    feed(peer, first, stream_.size(), [&] { connection.drive(); });
    connection.finish(true);
  }

  /** Our answer, whole; a rejection leaves through another thread. */
  static void expect_reply(FuzzPeer& peer, bool rejected) {
    pollfd readable{peer.fd(), POLLIN, 0};
    constexpr int kWaitMs = 20'000;
    expect(::poll(&readable, 1, kWaitMs) == 1, "no Reply");
    peer.read_all();
    const auto reply = iwarp::parse_setup(peer.setup(), iwarp::SetupKind::kReply);
    expect(reply.state == iwarp::ParseState::kComplete, "our Reply cannot be parsed");
    expect(reply.frame.rejected == rejected, "our Reply says the opposite");
    expect(!reply.frame.markers, "our Reply wants markers");
    peer.drop_setup(reply.frame.frame_bytes);
  }

  Choices choices_;
  std::uint8_t cuts_ = 0;
  std::vector<std::uint8_t> private_data_;
  std::vector<std::byte> stream_;
  std::size_t border_ = 0;
  provider::QueuePairConfig config_;
};

}  // namespace
}  // namespace rpma::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  rpma::test::SetupStory(rpma::test::FuzzInput(data, size)).run();
  return 0;
}
