// SPDX-License-Identifier: BSD-3-Clause
//
// The send side of a connection: turns posted operations and owed answers into frames, hands them
// to TCP in one sendmsg a batch, and tells who is done. Without CRC, payload is sent from where it
// lies. With CRC it is copied on the way to the checksum: others may write the memory that a Read
// names at any time, and bytes that change between checksum and TCP would end the connection. Used
// under the queue pair's send lock only. One message is finished before the next begins: messages
// never interleave.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "provider/iwarp/buffer_pool.h"
#include "provider/iwarp/ddp.h"
#include "provider/iwarp/extension.h"
#include "provider/iwarp/first_sequence.h"
#include "provider/iwarp/inbound_requests.h"
#include "provider/iwarp/mpa.h"
#include "provider/iwarp/send_queue.h"
#include "provider/statistics.h"

namespace rpma::iwarp {

class Transmitter {
 public:
  enum class Outcome : std::uint8_t {
    Idle,     // nothing to send
    Blocked,  // TCP takes no more
    Budget,   // there is more, but the turn is over
    Failed,   // see failure()
  };
  struct Failure {
    int error = 0;         // errno of TCP, or 0
    bool local = false;    // the source memory is gone
    bool persist = false;  // what a plain peer wrote could not be persisted; its Read has no answer
    bool defect = false;   // a frame that must not be sent: a defect of ours
    bool memory = false;   // there was none to stage a payload in
    bool answer = false;   // an answer that reports a failed persist has left
  };

  Transmitter(BufferPool& pool, SendQueue& sends, provider::ConnectionCounts& counts)
      : pool_(pool), sends_(sends), counts_(counts) {}

  /** Before the first run; crc and frame size again when a responder learns them from the hello. */
  void configure(bool crc, std::uint32_t frame_bytes_max, InboundRequests* inbound);
  /** The initiator's first frame; once, before anything else. */
  void queue_hello(const Hello& hello);

  Outcome run(int fd, std::uint64_t budget_bytes);
  [[nodiscard]] const Failure& failure() const { return failure_; }
  /** Bytes that TCP took so far; any thread. */
  [[nodiscard]] std::uint64_t bytes_sent() const {
    return counts_.get(provider::Statistic::BytesSent);
  }
  /** Nothing built is unsent and no message is half built. */
  [[nodiscard]] bool idle() const { return count_ == 0 && current_.kind == Kind::None; }
  /** The connection has ended, and rest_of_frame() was asked for: the stage is for others. */
  void release() {
    count_ = 0;
    stage_.give_back();
  }

  /** What must still be written so that the stream ends on a frame's border: a copy. */
  [[nodiscard]] std::vector<std::byte> rest_of_frame() const;

 private:
  enum class Kind : std::uint8_t { None, Control, Send, Answer };
  static constexpr std::size_t kWindow = 16;      // frames built ahead of TCP
  static constexpr std::size_t kHeadBytes = 104;  // a header, or a whole small frame
  static constexpr std::size_t kInlinePayload =
      kHeadBytes - kUntaggedHeaderBytes - kSendImmediateHeaderBytes - kTrailerBytesMax;
  static constexpr unsigned kAnswersInRow = 4;

  struct Frame {
    std::array<std::byte, kHeadBytes> head;
    std::array<std::byte, 8> tail;
    const std::byte* payload = nullptr;
    memory::Region* source = nullptr;  // of payload sent from a file mapping; its owner holds it
    std::uint32_t head_bytes = 0;
    std::uint32_t payload_bytes = 0;
    std::uint32_t tail_bytes = 0;
    Kind owner = Kind::None;
    bool last = false;
    std::uint64_t sequence = 0;
    [[nodiscard]] std::size_t size() const {
      return std::size_t{head_bytes} + payload_bytes + tail_bytes;
    }
  };
  /** The message being cut into frames. */
  struct Message {
    Kind kind = Kind::None;
    SendSlot* slot = nullptr;
    InboundRequest* answer = nullptr;
    std::uint64_t offset = 0;
    std::uint32_t sequence = 0;  // of an untagged message, or the Immediate behind a Write
    bool written = false;        // all of the Write is cut, its Immediate is next
  };

  [[nodiscard]] bool broken() const {
    return failure_.local || failure_.persist || failure_.defect || failure_.memory;
  }
  bool choose();
  bool has_room();
  std::size_t cut(std::uint64_t left, std::size_t payload_max);
  bool build();
  bool build_send(Frame& frame);
  bool build_message(Frame& frame);
  bool build_write(Frame& frame);
  bool build_immediate(Frame& frame);
  bool build_request(Frame& frame);
  bool build_answer(Frame& frame);
  bool build_read_response(Frame& frame);
  bool finish(Frame& frame, const std::byte* payload, std::size_t bytes, memory::Region* source);
  void poison_gone();
  void consume(std::size_t bytes);
  void frame_sent(const Frame& frame);
  Frame& frame(std::size_t index) { return window_[(first_ + index) % kWindow]; }

  BufferPool& pool_;
  SendQueue& sends_;
  provider::ConnectionCounts& counts_;
  InboundRequests* inbound_ = nullptr;
  bool crc_ = false;
  std::size_t tagged_max_ = 0;
  std::size_t untagged_max_ = 0;
  std::uint32_t send_sequence_ = first_sequence();
  std::uint32_t request_sequence_ = first_sequence();
  std::uint32_t answer_sequence_ = first_sequence();
  unsigned answers_in_row_ = 0;

  std::array<Frame, kWindow> window_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
  std::size_t sent_ = 0;      // bytes of the first frame that TCP has
  BufferPool::Buffer stage_;  // copies of payload under CRC; null while nothing is unsent
  std::size_t staged_ = 0;
  Message current_;
  Failure failure_;
};

/** A Terminate, whole, with the headers of the frame at fault; empty when the cause is none. */
[[nodiscard]] std::vector<std::byte> terminate_frame(Cause cause, std::span<const std::byte> fault,
                                                     bool crc);

}  // namespace rpma::iwarp
