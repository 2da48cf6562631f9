// SPDX-License-Identifier: BSD-3-Clause
//
// See connector.h.
#include "provider/iwarp/connector.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "core/counters.h"
#include "core/fault_points.h"
#include "provider/iwarp/linger.h"
#include "provider/iwarp/log.h"

namespace rpma::iwarp {
namespace {

constexpr std::size_t kInputBytesMax = kSetupFrameBytesMax + 64 * 1024;

std::vector<std::uint8_t> copy(std::span<const std::byte> bytes) {
  const auto* begin = reinterpret_cast<const std::uint8_t*>(bytes.data());
  return {begin, begin + bytes.size()};
}

/** Refused or reset before any byte of a Reply: nobody wants us. No route, no answer: out of reach.
 */
abi::ConnectionEvent event_of(int error) {
  return error == ECONNREFUSED || error == ECONNRESET || error == EPIPE
             ? abi::ConnectionEvent::Rejected
             : abi::ConnectionEvent::Unreachable;
}

Status status_of(abi::ConnectionEvent event, int error, const char* syscall) {
  return Status::from_errno(
      event == abi::ConnectionEvent::Rejected ? abi::Code::Rejected : abi::Code::Unreachable, error,
      syscall);
}

}  // namespace

Status Connector::start(std::shared_ptr<QueuePair> queue_pair, const provider::Address& to,
                        std::vector<std::uint8_t> private_data) {
  if (private_data.size() > kApplicationDataBytesMax) {
    return Status::failure(abi::Code::OutOfRange, "private data is at most 251 bytes");
  }
  RPMA_LOG(Notice, "connection %u: connects to %s port %u", queue_pair->number(), to.host.c_str(),
           to.port);
  Result<Socket> socket = start_connect(to);
  if (!socket.ok()) {
    const Status& status = socket.status();
    if (status.sys_errno == 0 || status.code == abi::Code::Limit ||
        status.code == abi::Code::NoMemory) {
      return status;
    }
    // Some answers come at once (no route): they are the same event as those that come later.
    EndReason reason;
    reason.event = event_of(status.sys_errno);
    reason.cause = status_of(reason.event, status.sys_errno, status.syscall);
    queue_pair->end(std::move(reason));
    return Status::success();
  }
  auto connector =
      std::make_shared<Connector>(queue_pair, std::move(socket).value(), std::move(private_data));
  queue_pair->context()->progress->post([connector] { connector->begin(); });
  return Status::success();
}

Connector::Connector(const std::shared_ptr<QueuePair>& queue_pair, Socket socket,
                     std::vector<std::uint8_t> private_data)
    : queue_pair_(queue_pair),
      progress_(queue_pair->context()->progress),
      socket_(std::move(socket)),
      private_data_(std::move(private_data)) {}

void Connector::begin() {
  id_ = progress_->next_id();
  const Status status = progress_->add(id_, socket_.fd(), EPOLLOUT, shared_from_this());
  if (!status.ok()) return fail(abi::ConnectionEvent::Lost, status);
  const std::shared_ptr<QueuePair> queue_pair = queue_pair_.lock();
  if (!queue_pair) return cancel();
  queue_pair->on_end([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->cancel();
  });
}

void Connector::cancel() { detach().close(); }

Socket Connector::detach() {
  if (socket_.open()) progress_->remove(id_, socket_.fd());
  return std::move(socket_);
}

void Connector::fail(abi::ConnectionEvent event, const Status& cause,
                     std::vector<std::uint8_t> private_data) {
  cancel();
  if (const std::shared_ptr<QueuePair> queue_pair = queue_pair_.lock()) {
    EndReason reason;
    reason.event = event;
    reason.cause = cause;
    reason.private_data = std::move(private_data);
    queue_pair->end(std::move(reason));
  }
}

/** A Reply that cannot be: the other side, which may hold itself connected, is told why not. */
void Connector::refuse(Cause cause, bool crc, const char* detail) {
  Linger::start(progress_, detach(), terminate_frame(cause, {}, crc), Linger::Fin::AtOnce);
  Status status = lost(EPROTO, nullptr);
  status.detail = detail;
  fail(abi::ConnectionEvent::Lost, status);
}

void Connector::on_ready(std::uint32_t) {
  if (!socket_.open()) return;
  const std::shared_ptr<Connector> keep = shared_from_this();
  const std::shared_ptr<QueuePair> queue_pair = queue_pair_.lock();
  if (!queue_pair) return cancel();
  if (requested_) return read_reply(*queue_pair);
  const int error = connect_outcome(socket_.fd());
  if (error != 0) {
    const abi::ConnectionEvent event = event_of(error);
    return fail(event, status_of(event, error, "connect"));
  }
  connected(*queue_pair);
}

void Connector::connected(QueuePair& queue_pair) {
  const provider::QueuePairConfig& config = queue_pair.config();
  tune(socket_.fd(), config.dead_peer_timeout_ms);
  RequestFields fields;
  fields.crc = config.crc == 2;
  fields.inbound_reads = static_cast<std::uint16_t>(config.inbound_reads);
  fields.outbound_reads = static_cast<std::uint16_t>(config.outbound_reads);
  fields.private_data = std::as_bytes(std::span(private_data_));
  std::array<std::byte, kSetupFrameBytesMax> frame;
  const std::size_t size = encode_request(frame, fields);
  // One send for the whole frame: some peers take it in pieces badly. A new socket has the room.
  const core::FaultAction fault = RPMA_FAULT_POINT("iwarp.send-request");
  const ssize_t sent =
      fault.fail ? (errno = fault.err, -1) : ::send(socket_.fd(), frame.data(), size, MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(size)) {
    const int error = sent < 0 ? errno : EMSGSIZE;
    const abi::ConnectionEvent event = event_of(error);
    return fail(event, status_of(event, error, "send"));
  }
  requested_ = true;
  progress_->modify(id_, socket_.fd(), EPOLLIN);
}

void Connector::read_reply(QueuePair& queue_pair) {
  std::array<std::byte, 4096> chunk;
  const std::size_t room = std::min(chunk.size(), kInputBytesMax - input_.size());
  const ssize_t count = core::attempt(RPMA_FAULT_POINT("iwarp.recv-reply"), [&] {
    return ::recv(socket_.fd(), chunk.data(), room, MSG_DONTWAIT);
  });
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
  if (count <= 0) {
    const int error = count < 0 ? errno : ECONNRESET;
    const abi::ConnectionEvent event =
        input_.empty() ? event_of(error) : abi::ConnectionEvent::Lost;
    return fail(event, event == abi::ConnectionEvent::Lost ? lost(error, "recv")
                                                           : status_of(event, error, "recv"));
  }
  input_.insert(input_.end(), chunk.begin(), chunk.begin() + count);
  const SetupParse parse = parse_setup(input_, SetupKind::kReply);
  if (parse.state == ParseState::kNeedMore) return;
  if (parse.state == ParseState::kFault) {
    return refuse(Cause::kMpaSetup, queue_pair.config().crc == 2, setup_fault_name(parse.fault));
  }
  accept_reply(queue_pair, parse.frame, input_.size());
}

void Connector::accept_reply(QueuePair& queue_pair, const SetupFrame& reply, std::size_t have) {
  const provider::QueuePairConfig& config = queue_pair.config();
  if (reply.rejected) {
    return fail(abi::ConnectionEvent::Rejected,
                Status::failure(abi::Code::Rejected, "the other side rejected the request"),
                copy(reply.private_data));
  }
  if (reply.markers) {
    return fail(abi::ConnectionEvent::Rejected,
                Status::failure(abi::Code::Rejected, "the other side insists on markers"));
  }
  Negotiated negotiated;
  negotiated.initiator = true;
  std::span<const std::byte> data = reply.private_data;
  if (const std::optional<SetupAnswer> answer = setup_answer(reply)) {
    negotiated.offered = true;
    negotiated.capabilities = answer->capabilities;
    data = answer->private_data;
  }
  negotiated.crc = reply.crc || config.crc == 2;
  negotiated.large_frames = negotiated.offered || (reply.revision == 2 && reply.has_word &&
                                                   !reply.crc && !reply.word.peer_to_peer);
  negotiated.inbound_reads = config.inbound_reads;
  negotiated.outbound_reads = config.outbound_reads;
  if (reply.has_word) {
    // ORD above what the other side serves would end the connection; below, it is simply less.
    negotiated.outbound_reads =
        std::min<std::uint32_t>(config.outbound_reads, reply.word.inbound_reads);
    if (reply.word.outbound_reads > std::max<std::uint32_t>(config.inbound_reads, 1)) {
      return refuse(Cause::kMpaInboundReads, negotiated.crc,
                    "the other side wants more reads outstanding than we serve");
    }
  }
  const std::vector<std::uint8_t> private_data = copy(data);
  const std::vector<std::byte> early(
      input_.begin() + static_cast<std::ptrdiff_t>(reply.frame_bytes),
      input_.begin() + static_cast<std::ptrdiff_t>(have));
  queue_pair.adopt(detach(), negotiated, early, private_data);
}

}  // namespace rpma::iwarp
