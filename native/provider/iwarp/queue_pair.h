// SPDX-License-Identifier: BSD-3-Clause
//
// One connection: its queues, its two sides and its end. Two locks order the work. The driver's
// lock (serve_mutex_) covers the receive side and is held by whichever thread drives: the progress
// thread, or a thread of the program that polls or waits. The send lock (send_mutex_) covers the
// transmitter. Nobody waits for either on the data path: who does not get a lock leaves a request
// behind, and who lets go of it looks again. Lock order: serve, send, driver, then the queues' own.
// docs/internals/progress.md has the whole picture, docs/internals/ownership.md the states and
// endings.
//
// The code stands in four files: queue_pair.cc (what the program calls), queue_pair_drive.cc (who
// drives, when to send), queue_pair_frames.cc (what a received frame means) and queue_pair_end.cc
// (how it ends).
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "core/counters.h"
#include "provider/iwarp/device_context.h"
#include "provider/iwarp/inbound_requests.h"
#include "provider/iwarp/receive_queue.h"
#include "provider/iwarp/receiver.h"
#include "provider/iwarp/send_queue.h"
#include "provider/iwarp/socket.h"
#include "provider/iwarp/transmitter.h"

namespace rpma::iwarp {

/** What both sides agreed on in the set-up frames. */
struct Negotiated {
  bool initiator = false;
  bool offered = false;            // the extension was offered, and by a responder answered
  std::uint16_t capabilities = 0;  // the other side's; a responder learns them from the hello
  bool peer_to_peer = false;       // the initiator promised a first frame (A of RFC 6581)
  bool crc = false;                // C was set by either side
  bool large_frames = false;       // our own kind, or what looks like siw
  std::uint32_t inbound_reads = 0;
  std::uint32_t outbound_reads = 0;
};

/** Why and how a connection ends. */
struct EndReason {
  abi::ConnectionEvent event = abi::ConnectionEvent::Lost;
  Status cause;
  // Of the oldest operation without an outcome; the others are flushed.
  abi::CompletionStatus status = abi::CompletionStatus::Flushed;
  Cause terminate = Cause::kNone;  // told to the other side
  // Whose headers the Terminate copies: none when the frame at fault is not here any more.
  enum class Fault : std::uint8_t { None, Received, Parked } fault = Fault::None;
  bool reset = false;       // end it with RST
  bool protection = false;  // the other side used memory that it was not granted
  std::vector<std::uint8_t> private_data;
};

/** Bytes of a region, counted from the start of its persist target. */
struct DirtyRange {
  std::weak_ptr<memory::Region> region;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

class QueuePair final : public provider::QueuePair,
                        public SocketHandler,
                        public FrameSink,
                        public InboundHost,
                        public std::enable_shared_from_this<QueuePair> {
 public:
  static Result<std::shared_ptr<QueuePair>> create(std::shared_ptr<DeviceContext> context,
                                                   const provider::QueuePairConfig& config);
  QueuePair(std::shared_ptr<DeviceContext> context, const provider::QueuePairConfig& config);
  ~QueuePair() override;

  // provider::QueuePair
  Status post_send(const provider::WorkRequest& request) override;
  void kick() override;
  Status post_receive(const provider::WorkRequest& request) override;
  std::uint32_t send_queue_free() const override { return sends_.free_slots(); }
  bool watch_send_queue(std::uint32_t slots) override { return sends_.watch_free(slots); }
  std::uint32_t receive_queue_free() const override { return receives_.free_slots(); }
  Status connect(const provider::Address& to, std::vector<std::uint8_t> private_data) override;
  std::uint32_t number() const override { return number_; }
  provider::Statistics statistics() const override;
  abi::ConnectionState state() const override { return state_.load(); }
  provider::Capabilities capabilities() const override;
  provider::Address local_address() const override;
  provider::Address remote_address() const override;
  std::optional<provider::Event> next_event() override;
  void set_notify(provider::NotifyTarget target) override;
  void disconnect(std::uint64_t timeout_ms) override;
  void abort(Status reason) override;
  void take_over(int epoll_fd) override;
  void give_back() override;
  void drive() override;

  // Set-up.
  const provider::QueuePairConfig& config() const { return config_; }
  const std::shared_ptr<DeviceContext>& context() const { return context_; }
  const std::shared_ptr<provider::ConnectionCounts>& counts() const { return counts_; }
  /** The set-up frames are exchanged; `early` are bytes that came behind ours. Any thread. */
  void adopt(Socket socket, const Negotiated& negotiated, std::span<const std::byte> early,
             std::vector<std::uint8_t> private_data);
  /** The first reason stays; the end itself happens on the progress thread. Any thread. */
  void end(EndReason reason);
  /** Runs once on the progress thread when it has ended, at once when it has already. */
  void on_end(std::function<void()> hook);
  /** A receive was granted to it by its shared receive queue. Any thread without locks. */
  void receive_came() { serve(Busy::LeaveWord); }
  /** Where it completes what it takes from that queue; null when it does not, or has ended. */
  std::shared_ptr<CompletionQueue> completions_from(const SharedReceiveQueue* shared) const;
  /** Whether TCP holds up an answer that uses the region; *sent tells how far sending has come. */
  bool holds_up(const memory::Region* region, std::uint64_t* sent) const;
  /** Whether an operation, a receive or an answer uses the region. Progress thread. */
  bool uses(const memory::Region* region);
  /** The other side did not take an answer from a region that was closed. */
  void end_untaken();
  [[nodiscard]] bool ending() const { return ending_.load(); }

  // SocketHandler
  void on_ready(std::uint32_t events) override;
  void on_spin() override;
  bool take_back(std::uint64_t now_ns) override;
  // FrameSink
  Verdict on_frame(const Segment& segment, std::span<const std::byte> fpdu) override;
  DirectTarget direct_target(const Segment& segment) override;
  Verdict on_direct(const Segment& segment) override;
  // InboundHost
  void inbound_ready() override { pump(abi::kInlineSendBytes, Busy::LeaveWord); }

 private:
  static constexpr int kProgress = -2;  // driver_: the progress thread
  static constexpr std::uint64_t kUnit = 1'000'000;

  /**
   * What to do while another thread drives. Who was told by a level-triggered set waits for that
   * thread's turn: the set would tell again at once, and the spinning keeps the processor from it.
   */
  enum class Busy : std::uint8_t { LeaveWord, Wait };

  // queue_pair.cc
  Status check_immediate_post(const provider::WorkRequest& request) const;

  // queue_pair_drive.cc
  void serve(Busy busy);
  void serve_locked();
  void end_if_hung_up();
  void leave_sets();
  bool return_to_progress();
  void pump(std::uint64_t budget_bytes, Busy busy);
  void update_interest();
  std::uint32_t interest() const;
  bool replay_parked();
  void restart_parked_timer();
  void after_receive(Receiver::Outcome outcome);
  void watch_peer();
  void check_peer();

  // queue_pair_frames.cc
  Verdict first_frame(const Segment& segment, std::span<const std::byte> fpdu);
  Verdict request_frame(const Segment& segment, std::span<const std::byte> fpdu);
  Verdict other_frame(const Segment& segment, std::span<const std::byte> payload);
  Verdict write_frame(const Segment& segment, std::span<const std::byte> payload);
  Verdict send_immediate_frame(const Segment& segment, std::span<const std::byte> payload);
  Verdict immediate_frame(const Segment& segment, std::span<const std::byte> payload);
  Verdict place_message(std::uint64_t offset, std::span<const std::byte> bytes, bool last,
                        std::optional<std::uint32_t> immediate);
  void count_write(const Segment& segment);
  Verdict read_request(const Segment& segment, std::span<const std::byte> payload);
  Verdict extension_request(const Segment& segment, std::span<const std::byte> payload);
  Verdict read_response(const Segment& segment, std::span<const std::byte> payload);
  Verdict extension_answer(const Segment& segment, std::span<const std::byte> payload);
  Verdict terminated(std::span<const std::byte> payload);
  Verdict park(const Segment& segment, std::span<const std::byte> fpdu);
  Cause check_response(const Segment& segment, const SendSlot* slot) const;
  memory::RegionAccess write_target(const Segment& segment);
  void note_dirty(const std::shared_ptr<memory::Region>& region, std::uint64_t address,
                  std::uint64_t length);
  void take_dirty(InboundRequest& request);
  void settle_response(const Segment& segment, SendSlot* slot);

  // queue_pair_end.cc
  void become_established();
  void teardown();
  void log_end(const EndReason& reason) const;
  void count_end(abi::ConnectionEvent event);
  void release_socket(const EndReason& reason, std::vector<std::byte> last_words);
  void publish(provider::Event event);
  void check_close();
  void arm_timer(ProgressThread::TimerId* timer, std::uint64_t delay_ms, void (QueuePair::*fire)());
  void cancel_timer(ProgressThread::TimerId* timer);
  void setup_expired();
  void grace_over();
  void close_expired();
  void receiver_not_ready();
  void leftover_expired();
  EndReason receive_failure(Cause cause);
  std::span<const std::byte> fault_of(const EndReason& reason) const;

  const core::LiveCount live_{core::counters().queue_pairs};
  const std::shared_ptr<DeviceContext> context_;
  const provider::QueuePairConfig config_;
  const std::uint32_t number_;
  const std::uint64_t id_;  // in the progress thread's epoll set
  const std::shared_ptr<CompletionQueue> send_completions_;
  const std::shared_ptr<CompletionQueue> receive_completions_;
  const std::shared_ptr<Credits> credits_;
  const std::shared_ptr<provider::ConnectionCounts> counts_;
  SendQueue sends_;
  ReceiveQueue receives_;
  std::shared_ptr<InboundRequests> inbound_;  // made by create()
  std::atomic<abi::ConnectionState> state_{abi::ConnectionState::Connecting};
  std::atomic<bool> ending_{false};  // a reason is recorded

  // Receive side, under serve_mutex_.
  std::mutex serve_mutex_;
  std::atomic<bool> serve_requested_{false};
  Receiver receiver_;
  OpcodeSet opcodes_ = kPlainOpcodes;  // that the other side may use
  Negotiated negotiated_;
  bool first_frame_due_ = false;  // of a responder: nothing has come in yet
  bool extension_ = false;
  std::uint32_t send_immediate_ = 0;  // of the Send with immediate in progress
  std::uint64_t write_bytes_ = 0;     // of the newest Write, until another request comes
  bool write_open_ = false;           // there is more of it to come
  std::deque<std::vector<std::byte>> parked_;
  std::size_t parked_bytes_ = 0;
  std::size_t parked_messages_ = 0;
  std::atomic<bool> has_parked_{false};
  std::atomic<bool> send_due_{false};  // serving made something to send
  std::atomic<bool> leftover_{false};  // FIN came while messages were parked
  std::atomic<std::uint64_t> parked_until_ns_{0};
  std::vector<DirtyRange> dirty_;  // what a plain peer wrote and no Read has flushed
  std::vector<std::uint8_t> established_data_;

  // Send side, under send_mutex_.
  std::mutex send_mutex_;
  std::atomic<bool> send_requested_{false};
  Transmitter transmitter_;
  std::atomic<bool> gate_open_{false};  // a responder sends nothing before the first inbound frame
  std::atomic<bool> fin_sent_{false};

  // Who drives and what the socket is watched for, under driver_mutex_.
  mutable std::mutex driver_mutex_;
  Socket socket_;
  std::atomic<int> driver_{kProgress};
  std::atomic<std::uint64_t> last_drive_ns_{0};
  std::atomic<bool> wants_write_{false};
  std::atomic<bool> stalled_{false};
  std::uint32_t applied_interest_ = 0;
  bool lent_ = false;  // on the progress thread's list
  provider::Address local_;
  provider::Address remote_;

  std::mutex event_mutex_;
  std::deque<provider::Event> events_;
  provider::NotifyTarget target_;
  EndReason reason_;  // valid once ending_
  bool ended_ = false;
  std::vector<std::function<void()>> end_hooks_;

  std::atomic<std::uint16_t> agreed_{0};  // capabilities of the extension on this connection
  std::atomic<bool> peer_watched_{false};
  std::uint64_t waiting_since_ns_ = 0;  // of the watch timer
  std::mutex timer_mutex_;
  ProgressThread::TimerId setup_timer_ = 0;
  ProgressThread::TimerId close_timer_ = 0;
  ProgressThread::TimerId parked_timer_ = 0;
  ProgressThread::TimerId watch_timer_ = 0;
};

/** The provider's word for a request that it could not serve: what a Terminate's cause does to us.
 */
abi::CompletionStatus status_of_cause(Cause cause);
/** Its message waits for a receive of ours: everything on the queue of Sends. */
bool takes_receive(const Segment& segment);
/** A key that names nothing, bounds, or rights: memory was used that was not granted. */
bool is_protection(Cause cause);
/** What this side offers, a mask of abi::kExtensionCapabilities*. */
std::uint16_t offered_capabilities(const provider::QueuePairConfig& config);

}  // namespace rpma::iwarp
