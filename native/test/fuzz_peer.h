// SPDX-License-Identifier: BSD-3-Clause
//
// The other side of a fuzzed connection: one end of a socket pair, of which the engine has the
// other. It frames what an input wants sent, hands it over in pieces of any size, and reads all
// that the engine says. That is an oracle of its own: every frame of ours parses, is in sequence,
// has the checksum that was agreed on, carries no byte of secret memory, and none follows a
// Terminate. Of the fuzzer's thread; it owns its socket.
#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "core/bytes.h"
#include "provider/iwarp/crc32c.h"
#include "provider/iwarp/extension.h"
#include "provider/iwarp/mpa.h"
#include "provider/iwarp/rdmap.h"
#include "provider/iwarp/socket.h"
#include "test/fuzz_world.h"

namespace rpma::test {

/** A request of ours that the other side has seen and may answer. */
struct SeenRequest {
  iwarp::ExtensionSub sub{};  // of the extension's
  bool read = false;
  std::uint32_t sink = 0;
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
  std::uint32_t id = 0;
};

class FuzzPeer {
 public:
  FuzzPeer() {
    static_cast<void>(FuzzWorld::instance());  // its account of what lives comes first
    int fds[2] = {-1, -1};
    constexpr int kType = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    expect(::socketpair(AF_UNIX, kType, 0, fds) == 0, "no socket pair");
    fd_ = fds[0];
    engine_ = iwarp::Socket(fds[1]);
    engine_fd_ = fds[1];
  }
  ~FuzzPeer() { close(); }
  FuzzPeer(const FuzzPeer&) = delete;
  FuzzPeer& operator=(const FuzzPeer&) = delete;

  /** The engine's end, once; its number stays known. */
  iwarp::Socket take_engine() { return std::move(engine_); }
  [[nodiscard]] int engine_fd() const { return engine_fd_; }
  void close() {
    if (fd_ >= 0) static_cast<void>(::close(fd_));
    fd_ = -1;
  }
  [[nodiscard]] bool open() const { return fd_ >= 0; }
  [[nodiscard]] int fd() const { return fd_; }
  void send_fin() const {
    if (open()) static_cast<void>(::shutdown(fd_, SHUT_WR));
  }

  // ---- Towards the engine ----------------------------------------------------------------------

  void queue(std::span<const std::byte> bytes) {
    out_.insert(out_.end(), bytes.begin(), bytes.end());
  }
  [[nodiscard]] std::size_t queued() const { return out_.size() - sent_; }

  /** Hands over up to `count` bytes; false when nothing is left or the engine does not read. */
  bool hand_over(std::size_t count) {
    const std::size_t bytes = std::min(count, queued());
    if (bytes == 0 || !open()) return false;
    const ssize_t sent = ::send(fd_, out_.data() + sent_, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent <= 0) return false;
    sent_ += static_cast<std::size_t>(sent);
    if (sent_ == out_.size()) {
      out_.clear();
      sent_ = 0;
    }
    return true;
  }

  // ---- From the engine -------------------------------------------------------------------------

  /** The stream consists of frames from here on; before, it is what the set-up makes of it. */
  void expect_frames(std::optional<bool> crc, iwarp::OpcodeSet opcodes) {
    frames_ = true;
    opcodes_ = opcodes;
    crc_ = crc;
  }
  /** What came and is no frame: a Request or a Reply. */
  [[nodiscard]] std::span<const std::byte> setup() const { return in_; }
  void drop_setup(std::size_t bytes) {
    in_.erase(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(std::min(bytes, in_.size())));
  }

  void read_all() {
    if (!open()) return;
    std::array<std::byte, 16 * 1024> chunk;
    for (;;) {
      const ssize_t count = ::recv(fd_, chunk.data(), chunk.size(), MSG_DONTWAIT);
      if (count <= 0) break;
      in_.insert(in_.end(), chunk.begin(), chunk.begin() + count);
    }
    if (frames_) check_frames();
  }

  [[nodiscard]] bool terminated() const { return terminated_; }
  std::deque<SeenRequest>& requests() { return requests_; }

 private:
  void check_frames() {
    std::span<const std::byte> left(in_);
    while (left.size() >= iwarp::kUlpduLengthBytes) {
      const std::size_t total = iwarp::fpdu_bytes(core::load_be16(left.data()));
      if (left.size() < total) break;
      check_frame(left.first(total));
      left = left.subspan(total);
    }
    in_.erase(in_.begin(), in_.end() - static_cast<std::ptrdiff_t>(left.size()));
  }

  void check_frame(std::span<const std::byte> fpdu) {
    expect(!terminated_, "a frame behind our Terminate");
    const iwarp::SegmentParse parse = iwarp::parse_segment(fpdu, opcodes_);
    expect(parse.state == iwarp::ParseState::kComplete, "we sent a malformed frame");
    const iwarp::Segment& segment = parse.segment;
    expect(tracker_.accept(segment) == iwarp::Cause::kNone, "we sent a frame out of order");
    const bool intact = iwarp::fpdu_is_intact(fpdu);
    const bool zero = core::load_be32(fpdu.data() + fpdu.size() - iwarp::kCrcBytes) == 0;
    expect(crc_ ? (*crc_ ? intact : zero) : (intact || zero), "we sent a wrong checksum");
    check_secret(fpdu);
    const auto payload = fpdu.subspan(segment.header_bytes, segment.payload_bytes);
    terminated_ = segment.opcode == iwarp::Opcode::kTerminate;
    remember(segment, payload);
  }

  void remember(const iwarp::Segment& segment, std::span<const std::byte> payload) {
    SeenRequest seen;
    if (segment.opcode == iwarp::Opcode::kReadRequest) {
      const auto read = iwarp::decode_read_request(payload);
      expect(read.has_value(), "we sent a malformed Read Request");
      seen.read = true;
      seen.sink = read->sink_stag;
      seen.offset = read->sink_offset;
      seen.length = read->length_bytes;
      requests_.push_back(seen);
    } else if (segment.opcode == iwarp::Opcode::kExtension &&
               segment.queue == iwarp::kRequestQueueNumber) {
      const auto asked = iwarp::decode_extension_request(segment, payload);
      expect(asked.cause == iwarp::Cause::kNone, "we sent a malformed request of the extension");
      seen.sub = asked.request.sub;
      seen.id = asked.request.id;
      requests_.push_back(seen);
    }
  }

  /** The comparison must not teach the fuzzer the word, or an input could say it by itself. */
  __attribute__((no_sanitize("coverage"))) static void check_secret(
      std::span<const std::byte> bytes) {
    const std::uint64_t secret = FuzzWorld::instance().secret();
    std::byte word[8];
    std::memcpy(word, &secret, sizeof(word));
    std::array<bool, 256> known{};
    for (const std::byte byte : word) known[std::to_integer<std::size_t>(byte)] = true;
    std::size_t run = 0;  // of bytes that occur in the word: nearly always none
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      run = known[std::to_integer<std::size_t>(bytes[i])] ? run + 1 : 0;
      if (run < sizeof(word)) continue;
      for (std::size_t shift = 0; shift < sizeof(word); ++shift) {
        bool same = true;
        for (std::size_t k = 0; k < sizeof(word); ++k) {
          same = same && bytes[i + 1 - sizeof(word) + k] == word[(k + shift) % sizeof(word)];
        }
        expect(!same, "memory that nobody may read was sent");
      }
    }
  }

  int fd_ = -1;
  int engine_fd_ = -1;
  iwarp::Socket engine_;
  std::vector<std::byte> out_;
  std::size_t sent_ = 0;
  std::vector<std::byte> in_;
  bool frames_ = false;
  bool terminated_ = false;
  std::optional<bool> crc_;
  iwarp::OpcodeSet opcodes_ = iwarp::kPlainOpcodes;
  iwarp::SegmentTracker tracker_;
  std::deque<SeenRequest> requests_;
};

/** A whole FPDU with the right length and checksum around `header` (its length field included). */
inline std::vector<std::byte> fuzz_frame(std::span<const std::byte> header,
                                         std::span<const std::byte> payload, bool crc) {
  std::vector<std::byte> frame(header.begin(), header.end());
  frame.insert(frame.end(), payload.begin(), payload.end());
  const std::size_t ulpdu =
      std::min(frame.size() - iwarp::kUlpduLengthBytes, iwarp::kUlpduBytesMax);
  frame.resize(iwarp::kUlpduLengthBytes + ulpdu);
  core::store_be16(frame.data(), static_cast<std::uint16_t>(ulpdu));
  const std::uint32_t state = iwarp::crc32c(iwarp::kCrc32cBegin, frame.data(), frame.size());
  std::array<std::byte, iwarp::kTrailerBytesMax> trailer;
  const std::size_t bytes = crc ? iwarp::encode_trailer(trailer, ulpdu, state)
                                : iwarp::encode_trailer_without_crc(trailer, ulpdu);
  frame.insert(frame.end(), trailer.begin(), trailer.begin() + static_cast<std::ptrdiff_t>(bytes));
  return frame;
}

}  // namespace rpma::test
