// SPDX-License-Identifier: BSD-3-Clause
//
// See listener.h: a Request that waits for an answer, and the negotiation on the passive side.
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "core/fault_points.h"
#include "provider/iwarp/linger.h"
#include "provider/iwarp/listener.h"
#include "provider/iwarp/log.h"

namespace rpma::iwarp {

IncomingRequest::IncomingRequest(std::shared_ptr<DeviceContext> context, Socket socket,
                                 std::vector<std::byte> frame,
                                 std::shared_ptr<ListenerPlaces> places)
    : context_(std::move(context)),
      places_(std::move(places)),
      socket_(std::move(socket)),
      frame_(std::move(frame)),
      local_(local_address_of(socket_.fd())),
      remote_(remote_address_of(socket_.fd())) {
  places_->connections.fetch_add(1);
  const std::span<const std::byte> data = request().private_data;
  const auto* begin = reinterpret_cast<const std::uint8_t*>(data.data());
  private_data_.assign(begin, begin + data.size());
}

IncomingRequest::~IncomingRequest() { static_cast<void>(reject({})); }

SetupFrame IncomingRequest::request() const {
  return parse_setup(frame_, SetupKind::kRequest).frame;
}

Result<std::shared_ptr<provider::QueuePair>> IncomingRequest::prepare(
    const provider::QueuePairConfig& config) {
  const std::lock_guard lock(mutex_);
  Result<std::shared_ptr<QueuePair>> made = QueuePair::create(context_, config);
  if (!made.ok()) return made.status();
  queue_pair_ = std::move(made).value();
  return std::static_pointer_cast<provider::QueuePair>(queue_pair_);
}

Status IncomingRequest::send_reply(const ReplyFields& fields) {
  std::array<std::byte, kSetupFrameBytesMax> frame;
  const std::size_t size = encode_reply(frame, request(), fields);
  if (size == 0) return Status::failure(abi::Code::OutOfRange, "private data is at most 251 bytes");
  // One send for the whole frame, as for a Request. Who left meanwhile is noticed by the
  // connection.
  const core::FaultAction fault = RPMA_FAULT_POINT("iwarp.send-reply");
  const ssize_t sent =
      fault.fail ? (errno = fault.err, -1) : ::send(socket_.fd(), frame.data(), size, MSG_NOSIGNAL);
  if (sent == static_cast<ssize_t>(size)) return Status::success();
  return Status::from_errno(abi::Code::ConnectionLost, sent < 0 ? errno : EMSGSIZE, "send");
}

Status IncomingRequest::accept(std::vector<std::uint8_t> private_data) {
  const std::lock_guard lock(mutex_);
  if (!socket_.open()) return Status::failure(abi::Code::State, "the request was answered before");
  if (private_data.size() > kApplicationDataBytesMax) {
    return Status::failure(abi::Code::OutOfRange, "private data is at most 251 bytes");
  }
  const provider::QueuePairConfig& config = queue_pair_->config();
  const SetupFrame asked = request();
  if (queue_pair_->ending()) {
    refuse({});
    return Status::success();
  }
  if (config.require_native != 0 && !setup_is_offer(asked)) {
    EndReason reason;
    reason.cause = Status::failure(abi::Code::NotSupported,
                                   "the other side lacks an operation that requireNative names");
    queue_pair_->end(std::move(reason));
    refuse({});
    return Status::success();
  }
  Negotiated negotiated;
  ReplyFields fields;
  fields.crc = config.crc == 2;
  fields.private_data = std::as_bytes(std::span(private_data));
  negotiated.offered = setup_is_offer(asked);
  if (negotiated.offered) fields.capabilities = offered_capabilities(config);
  negotiated.crc = asked.crc || fields.crc;
  negotiated.large_frames =
      asked.revision == 2 && asked.has_word && !asked.crc && !asked.word.peer_to_peer;
  negotiated.inbound_reads = config.inbound_reads;
  negotiated.outbound_reads = config.outbound_reads;
  if (asked.has_word) {
    negotiated.outbound_reads =
        std::min<std::uint32_t>(config.outbound_reads, asked.word.inbound_reads);
    negotiated.peer_to_peer = asked.word.peer_to_peer;
  }
  fields.inbound_reads = static_cast<std::uint16_t>(negotiated.inbound_reads);
  fields.outbound_reads = static_cast<std::uint16_t>(negotiated.outbound_reads);
  queue_pair_->on_end([places = places_] { places->connections.fetch_sub(1); });
  const Status status = send_reply(fields);
  Socket socket = std::move(socket_);
  if (!status.ok()) {
    EndReason reason;
    reason.cause = status;
    queue_pair_->end(std::move(reason));
    return Status::success();  // the outcome is an event, as when it happens a moment later
  }
  queue_pair_->adopt(std::move(socket), negotiated, {}, {});
  return Status::success();
}

Status IncomingRequest::reject(std::vector<std::uint8_t> private_data) {
  const std::lock_guard lock(mutex_);
  if (!socket_.open()) return Status::failure(abi::Code::State, "the request was answered before");
  if (private_data.size() > kApplicationDataBytesMax) {
    return Status::failure(abi::Code::OutOfRange, "private data is at most 251 bytes");
  }
  refuse(private_data);
  if (queue_pair_) {
    queue_pair_->abort(Status::failure(abi::Code::Rejected, "the request was rejected here"));
  }
  return Status::success();
}

/** The rejecting Reply, and the socket's last moments. */
void IncomingRequest::refuse(const std::vector<std::uint8_t>& private_data) {
  RPMA_LOG(Info, "rejected the request of %s port %u", remote_.host.c_str(), remote_.port);
  ReplyFields fields;
  fields.rejected = true;
  fields.private_data = std::as_bytes(std::span(private_data));
  std::vector<std::byte> frame(kSetupFrameBytesMax);
  frame.resize(encode_reply(frame, request(), fields));
  places_->connections.fetch_sub(1);
  Linger::start(context_->progress, std::move(socket_), std::move(frame), Linger::Fin::AfterTheirs);
}

}  // namespace rpma::iwarp
