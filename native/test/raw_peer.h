// SPDX-License-Identifier: BSD-3-Clause
//
// The other side of a connection as bare TCP, for tests of what our own kind never sends: frames
// are written and read one by one, without the extension and without CRC, and nothing is answered
// by itself. Blocking, with a deadline that only a defect reaches; used by the test's thread, which
// owns the socket. HostileTarget is a listening peer of ours with such an other side attached.
#pragma once

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "provider/iwarp/mpa.h"
#include "provider/iwarp/rdmap.h"
#include "provider/iwarp/socket.h"
#include "test/engine.h"

namespace rpma::test {

inline constexpr int kRawTimeoutSeconds = 5;

/** A frame as it came; empty when the stream ended or nothing came in time. */
struct RawFrame {
  std::vector<std::byte> bytes;
  [[nodiscard]] bool empty() const { return bytes.size() < 4; }
  [[nodiscard]] iwarp::Opcode opcode() const {
    return empty() ? iwarp::Opcode::kWrite
                   : static_cast<iwarp::Opcode>(std::to_integer<unsigned>(bytes[3]) & 0xFU);
  }
  /** Of a Terminate; kNone of anything else. */
  [[nodiscard]] iwarp::Cause cause() const {
    if (empty() || opcode() != iwarp::Opcode::kTerminate) return iwarp::Cause::kNone;
    const auto body = std::span(bytes).subspan(iwarp::kUntaggedHeaderBytes);
    const auto terminate = iwarp::decode_terminate(body, false);
    return terminate ? terminate->cause : iwarp::Cause::kNone;
  }
};

class RawPeer {
 public:
  RawPeer() = default;
  explicit RawPeer(iwarp::Socket socket) : socket_(std::move(socket)) {
    // The engine's sockets do not block; these shall, for a bounded time.
    const int fd = socket_.fd();
    // No small frame waits for the acknowledgement of the one before.
    const int no_delay = 1;
    static_cast<void>(::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, sizeof(no_delay)));
    const timeval timeout{kRawTimeoutSeconds, 0};
    static_cast<void>(::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) & ~O_NONBLOCK));
    static_cast<void>(::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)));
    static_cast<void>(::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)));
    const int at_once = 1;  // a piece that is sent shall not wait for the next
    static_cast<void>(::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof(at_once)));
  }

  /** Connects and asks to come in, as a plain initiator; not open when it did not get that far. */
  static RawPeer request(std::uint16_t port, bool crc = false) {
    auto started = iwarp::start_connect({"127.0.0.1", port});
    if (!started.ok()) return {};
    pollfd writable{started->fd(), POLLOUT, 0};
    if (::poll(&writable, 1, kRawTimeoutSeconds * 1000) != 1) return {};
    if (iwarp::connect_outcome(started->fd()) != 0) return {};
    RawPeer raw(std::move(started).value());
    iwarp::RequestFields fields;
    fields.offer_extension = false;
    fields.crc = crc;
    fields.inbound_reads = fields.outbound_reads = 32;
    std::array<std::byte, iwarp::kSetupFrameBytesMax> frame;
    const std::size_t size = iwarp::encode_request(frame, fields);
    if (!raw.send_bytes(std::span(frame).first(size))) return {};
    return raw;
  }

  [[nodiscard]] bool open() const { return socket_.open(); }
  void close() { socket_.close(); }

  /** Whether the answer to the request accepts it. */
  bool accepted() {
    const std::optional<iwarp::SetupParse> parse = receive_setup(iwarp::SetupKind::kReply);
    return parse && !parse->frame.rejected;
  }

  /** Of the passive side: takes the request and accepts it as a peer without the extension. */
  bool accept_plainly() {
    const std::optional<iwarp::SetupParse> parse = receive_setup(iwarp::SetupKind::kRequest);
    if (!parse) return false;
    iwarp::ReplyFields fields;
    fields.inbound_reads = fields.outbound_reads = 8;
    std::array<std::byte, iwarp::kSetupFrameBytesMax> frame;
    const std::size_t size = iwarp::encode_reply(frame, parse->frame, fields);
    return size > 0 && send_bytes(std::span(frame).first(size));
  }

  bool write(const memory::Region& region, std::span<const std::byte> data) {
    iwarp::TaggedHeader header;
    header.stag = region.key();
    header.tagged_offset = region.base();
    std::vector<std::byte> frame(iwarp::kTaggedHeaderBytes);
    return iwarp::encode_tagged_header(frame, header, data.size()) == frame.size() &&
           send_frame(std::move(frame), data);
  }

  /** `last` false: only the message's first segment, whose length must be a multiple of four. */
  bool send(std::span<const std::byte> data, iwarp::Opcode opcode = iwarp::Opcode::kSend,
            bool last = true) {
    iwarp::UntaggedHeader header;
    header.opcode = opcode;
    header.last = last;
    header.sequence = ++sends_;
    std::vector<std::byte> frame(iwarp::kUntaggedHeaderBytes);
    return iwarp::encode_untagged_header(frame, header, data.size()) == frame.size() &&
           send_frame(std::move(frame), data);
  }

  /** Asks for the first bytes of a region; the sink's offset is echoed in the answer. */
  bool read(const memory::Region& region, std::uint32_t length_bytes,
            std::uint64_t sink_offset = 0) {
    iwarp::ReadRequest request;
    request.sink_stag = 1;
    request.sink_offset = sink_offset;
    request.length_bytes = length_bytes;
    request.source_stag = region.key();
    request.source_offset = region.base();
    std::vector<std::byte> frame(iwarp::kReadRequestFrameBytes);
    frame.resize(iwarp::encode_read_request(frame, ++requests_, request));
    return !frame.empty() && send_frame(std::move(frame), {});
  }

  /** The next frame, whole. */
  RawFrame receive() {
    RawFrame frame;
    frame.bytes.resize(iwarp::kUlpduLengthBytes);
    if (!receive_bytes(frame.bytes)) return {};
    const std::size_t ulpdu = std::to_integer<std::size_t>(frame.bytes[0]) << 8 |
                              std::to_integer<std::size_t>(frame.bytes[1]);
    frame.bytes.resize(iwarp::fpdu_bytes(ulpdu));
    const auto rest = std::span(frame.bytes).subspan(iwarp::kUlpduLengthBytes);
    return receive_bytes(rest) ? frame : RawFrame{};
  }

  bool receive_bytes(std::span<std::byte> into) {
    while (!into.empty()) {
      const ssize_t count = ::recv(socket_.fd(), into.data(), into.size(), 0);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return false;
      into = into.subspan(static_cast<std::size_t>(count));
    }
    return true;
  }

  bool send_bytes(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::send(socket_.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return false;
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
    return true;
  }

 private:
  bool send_frame(std::vector<std::byte> frame, std::span<const std::byte> payload) {
    frame.insert(frame.end(), payload.begin(), payload.end());
    std::array<std::byte, 8> trailer;
    const std::size_t size =
        iwarp::encode_trailer_without_crc(trailer, frame.size() - iwarp::kUlpduLengthBytes);
    frame.insert(frame.end(), trailer.begin(), trailer.begin() + static_cast<std::ptrdiff_t>(size));
    return send_bytes(frame);
  }

  /** Byte by byte, so that nothing behind it is taken. The frame borrows from setup_. */
  std::optional<iwarp::SetupParse> receive_setup(iwarp::SetupKind kind) {
    setup_.clear();
    for (;;) {
      std::array<std::byte, 1> next;
      if (!receive_bytes(next)) return std::nullopt;
      setup_.push_back(next[0]);
      const iwarp::SetupParse parse = iwarp::parse_setup(setup_, kind);
      if (parse.state == iwarp::ParseState::kComplete) return parse;
      if (parse.state == iwarp::ParseState::kFault) return std::nullopt;
    }
  }

  iwarp::Socket socket_;
  std::vector<std::byte> setup_;
  std::uint32_t sends_ = 0;
  std::uint32_t requests_ = 0;
};

/** A bare TCP listener, for our active side. */
class RawListener {
 public:
  RawListener() {
    auto listening = iwarp::listen_on({"127.0.0.1", 0}, 8);
    if (CHECK(listening.ok())) socket_ = std::move(listening).value();
  }
  [[nodiscard]] provider::Address address() const { return iwarp::local_address_of(socket_.fd()); }
  RawPeer accept() {
    pollfd readable{socket_.fd(), POLLIN, 0};
    if (::poll(&readable, 1, kRawTimeoutSeconds * 1000) != 1) return {};
    provider::Address remote;
    auto accepted = iwarp::accept_from(socket_.fd(), &remote);
    if (!accepted.ok() || !accepted->open()) return {};
    return RawPeer(std::move(accepted).value());
  }

 private:
  iwarp::Socket socket_;
};

/** Our side of a connection whose other side is raw. */
struct RawPair {
  RawPeer raw;
  std::shared_ptr<rma::Connection> connection;
};

struct HostileTarget {
  std::shared_ptr<Bell> bell = std::make_shared<Bell>();
  std::shared_ptr<rma::Peer> peer;
  std::shared_ptr<provider::Listener> listener;

  explicit HostileTarget(const provider::DeviceOptions& options = {}) : peer(open_peer(options)) {
    auto listening = peer->device().listen({"127.0.0.1", 0}, {});
    CHECK(listening.ok());
    listener = std::move(listening).value();
    listener->set_notify({bell, 0});
  }

  /** A connection, established on our side. */
  RawPair connect(bool crc = false, const rma::ConnectionOptions& options = {}) {
    RawPair pair;
    pair.raw = RawPeer::request(listener->address().port, crc);
    CHECK(pair.raw.open());
    std::shared_ptr<provider::IncomingRequest> request;
    CHECK(bell->until([&] { return (request = listener->next()) != nullptr; }));
    auto incoming = rma::Connection::incoming(peer, request, options);
    CHECK(incoming.ok());
    pair.connection = std::move(incoming).value();
    watch(bell, *pair.connection);
    CHECK(pair.connection->accept({}).ok());
    CHECK(pair.raw.accepted());
    CHECK(next_event(bell, *pair.connection) == abi::ConnectionEvent::Established);
    return pair;
  }

  /** The next event, whole. */
  provider::Event event(rma::Connection& connection) {
    std::optional<provider::Event> event;
    CHECK(bell->until([&] { return (event = connection.queue_pair().next_event()).has_value(); }));
    return event.value_or(provider::Event{});
  }

  /** Whether a connection made now is served: eight bytes of the region are read. */
  bool serves(const memory::Region& region) {
    RawPair pair = connect();
    return pair.raw.read(region, 8) && pair.raw.receive().opcode() == iwarp::Opcode::kReadResponse;
  }
};

}  // namespace rpma::test
