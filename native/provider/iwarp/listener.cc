// SPDX-License-Identifier: BSD-3-Clause
//
// See listener.h.
#include "provider/iwarp/listener.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cinttypes>

#include "core/clock.h"
#include "core/counters.h"
#include "core/fault_points.h"
#include "provider/iwarp/log.h"

namespace rpma::iwarp {
namespace {

constexpr std::uint64_t kUnit = core::kNanosecondsPerMillisecond;
constexpr int kAcceptsInRow = 16;

}  // namespace

// ---- Listener ----------------------------------------------------------------------------------

Result<std::shared_ptr<Listener>> Listener::open(std::shared_ptr<DeviceContext> context,
                                                 const provider::Address& at,
                                                 const provider::ListenLimits& limits) {
  Result<Socket> socket = listen_on(at, limits.backlog);
  if (!socket.ok()) return socket.status();
  provider::Address address = local_address_of(socket->fd());
  // With port 0 nobody else knows it: an endpoint that cannot tell it is of no use.
  if (address.host.empty()) return Status::from_errno(errno, "getsockname");
  auto listener =
      std::make_shared<Listener>(context, std::move(socket).value(), std::move(address), limits);
  const Status status =
      context->progress->add(listener->id_, listener->socket_.fd(), EPOLLIN, listener);
  if (!status.ok()) return status;
  RPMA_LOG(Notice, "listens at %s port %u", listener->address_.host.c_str(),
           listener->address_.port);
  return listener;
}

Listener::Listener(std::shared_ptr<DeviceContext> context, Socket socket, provider::Address address,
                   const provider::ListenLimits& limits)
    : context_(std::move(context)),
      limits_(limits),
      reports_(std::make_shared<ListenerReports>(context_->progress)),
      id_(context_->progress->next_id()),
      address_(std::move(address)),
      socket_(std::move(socket)) {}

Listener::~Listener() = default;

std::shared_ptr<provider::IncomingRequest> Listener::next() {
  std::shared_ptr<IncomingRequest> request;
  bool again = false;
  {
    const std::lock_guard lock(mutex_);
    if (requests_.empty()) return nullptr;
    request = std::move(requests_.front());
    requests_.pop_front();
    again = !watched_ && socket_.open() && requests_.size() < limits_.unfetched_requests;
  }
  if (again) {
    context_->progress->post([self = shared_from_this()] { self->listen_again(); });
  }
  return request;
}

void Listener::set_notify(provider::NotifyTarget target) {
  reports_->set_notify(target);
  bool pending = false;
  {
    const std::lock_guard lock(mutex_);
    target_ = target;
    pending = !requests_.empty();
  }
  if (pending) target.notify();
}

void Listener::close() {
  std::deque<std::shared_ptr<IncomingRequest>> unfetched;
  Socket socket;
  {
    const std::lock_guard lock(mutex_);
    if (!socket_.open()) return;
    socket = std::move(socket_);
    unfetched.swap(requests_);
  }
  RPMA_LOG(Notice, "listens no more at %s port %u; %zu requests were not fetched and are rejected",
           address_.host.c_str(), address_.port, unfetched.size());
  context_->progress->remove(id_, socket.fd());
  socket.close();
  context_->progress->post([self = shared_from_this()] {
    const std::set<std::shared_ptr<PendingSetup>> setups = self->setups_;
    for (const std::shared_ptr<PendingSetup>& setup : setups) self->drop(setup);
  });
  for (const std::shared_ptr<IncomingRequest>& request : unfetched) {
    static_cast<void>(request->reject({}));
  }
}

void Listener::on_ready(std::uint32_t) {
  for (int i = 0; i < kAcceptsInRow; ++i) {
    provider::Address remote;
    Result<Socket> accepted = Socket();
    {
      const std::lock_guard lock(mutex_);
      if (!socket_.open() || !watched_) return;
      accepted = accept_from(socket_.fd(), &remote);
    }
    if (!accepted.ok()) {
      const int error = accepted.status().sys_errno;
      // Out of descriptors or memory: the pending connection stays in the backlog; try later.
      if (error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS) {
        core::count(core::counters().accept_pauses);
        context_->counts.add(provider::PeerStatistic::AcceptPauses);
        reports_->note(abi::ReportKind::AcceptPaused, {}, accepted.status());
        pause();
        return;
      }
      RPMA_LOG(Debug, "accepted nothing: %s", core::StatusText(accepted.status()).text());
      continue;  // one connection died in the backlog; the next may live
    }
    if (!accepted->open()) return;
    accept_one(std::move(accepted).value(), remote);
  }
}

/** Whether there is a place for one more; the newest is closed when there is none. */
bool Listener::admit(const provider::Address& remote) {
  if (setups_.size() >= limits_.pending_setups) {
    return refuse(abi::ReportKind::SetupRefused, remote, "limits.pendingSetups are pending");
  }
  if (places_->connections.load() + setups_.size() >= limits_.connections) {
    return refuse(abi::ReportKind::ConnectionRefused, remote, "limits.connections are taken");
  }
  if (is_loopback(remote)) return true;
  const auto found = setups_by_address_.find(remote.host);
  if (found == setups_by_address_.end() || found->second < limits_.pending_setups_per_address) {
    return true;
  }
  return refuse(abi::ReportKind::SetupRefused, remote,
                "limits.pendingSetupsPerAddress are pending from one address");
}

bool Listener::refuse(abi::ReportKind kind, const provider::Address& remote, const char* bound) {
  core::count(kind == abi::ReportKind::SetupRefused ? core::counters().setups_refused
                                                    : core::counters().connections_refused);
  context_->counts.add(kind == abi::ReportKind::SetupRefused
                           ? provider::PeerStatistic::SetupsRefused
                           : provider::PeerStatistic::ConnectionsRefused);
  reports_->note(kind, remote.host, Status::failure(abi::Code::Limit, bound));
  return false;
}

void Listener::accept_one(Socket socket, const provider::Address& remote) {
  if (!admit(remote)) return;
  auto setup = std::make_shared<PendingSetup>(weak_from_this(), std::move(socket), remote);
  setup->id = context_->progress->next_id();
  const std::uint64_t now = core::now_ns();
  const auto later = [&](std::uint64_t delay_ms, auto method) {
    return context_->progress->add_timer(
        now + delay_ms * kUnit,
        [weak = weak_from_this(), weak_setup = std::weak_ptr(setup), method] {
          const auto self = weak.lock();
          const auto held = weak_setup.lock();
          if (self && held) (self.get()->*method)(held);
        });
  };
  setup->timer = later(abi::kSetupTimeoutMs, &Listener::expire);
  setups_.insert(setup);
  ++setups_by_address_[remote.host];
  const std::uint64_t delay_ms = context_->slowed.delay_ms(remote, now);
  if (delay_ms == 0) return take_up(setup);
  core::count(core::counters().setups_delayed);
  context_->counts.add(provider::PeerStatistic::SetupsDelayed);
  reports_->note(abi::ReportKind::AddressSlowed, remote.host,
                 Status::failure(abi::Code::Limit, "protection errors came from that address"));
  setup->delay = later(delay_ms, &Listener::take_up);
}

/** From now on what it sends is read. */
void Listener::take_up(const std::shared_ptr<PendingSetup>& setup) {
  if (!setups_.contains(setup)) return;
  const Status added = context_->progress->add(setup->id, setup->socket.fd(), EPOLLIN, setup);
  if (added.ok()) return;
  core::count(core::counters().setups_refused);
  context_->counts.add(provider::PeerStatistic::SetupsRefused);
  reports_->note(abi::ReportKind::SetupRefused, setup->remote.host, added);
  drop(setup);
}

/** Its time is over. */
void Listener::expire(const std::shared_ptr<PendingSetup>& setup) {
  RPMA_LOG(Info, "closed a set-up of %s port %u: no whole Request came in %" PRIu64 " ms",
           setup->remote.host.c_str(), setup->remote.port, abi::kSetupTimeoutMs);
  drop(setup);
}

void Listener::drop(const std::shared_ptr<PendingSetup>& setup) {
  if (setups_.erase(setup) == 0) return;
  const auto found = setups_by_address_.find(setup->remote.host);
  if (--found->second == 0) setups_by_address_.erase(found);
  context_->progress->cancel_timer(setup->timer);
  context_->progress->cancel_timer(setup->delay);
  if (setup->socket.open()) {
    context_->progress->remove(setup->id, setup->socket.fd());
    setup->socket.close();
  }
}

void Listener::read_request(const std::shared_ptr<PendingSetup>& setup) {
  // One byte more than a frame may have: what follows a Request before its Reply is a violation.
  std::array<std::byte, kSetupFrameBytesMax + 1> chunk;
  const std::size_t room = chunk.size() - setup->input.size();
  const ssize_t count = core::attempt(RPMA_FAULT_POINT("iwarp.recv-request"), [&] {
    return ::recv(setup->socket.fd(), chunk.data(), room, MSG_DONTWAIT);
  });
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
  if (count <= 0) {
    RPMA_LOG(Info, "a set-up of %s port %u ended before its Request: %s",
             setup->remote.host.c_str(), setup->remote.port,
             count == 0 ? "it left" : core::StatusText(Status::from_errno(errno, "recv")).text());
    return drop(setup);
  }
  setup->input.insert(setup->input.end(), chunk.begin(), chunk.begin() + count);
  const SetupParse parse = parse_setup(setup->input, SetupKind::kRequest);
  if (parse.state == ParseState::kNeedMore) return;
  if (parse.state == ParseState::kFault || setup->input.size() > parse.frame.frame_bytes) {
    RPMA_LOG(Info, "closed a set-up of %s port %u: %s", setup->remote.host.c_str(),
             setup->remote.port,
             parse.state == ParseState::kFault ? "what it sent is no Request"
                                               : "it sent more than a Request before the Reply");
    return drop(setup);
  }
  request_complete(setup, parse.frame);
}

void Listener::request_complete(const std::shared_ptr<PendingSetup>& setup,
                                const SetupFrame& frame) {
  const bool markers = frame.markers;
  context_->progress->remove(setup->id, setup->socket.fd());
  const bool full_places = places_->connections.load() >= limits_.connections;
  auto request = std::make_shared<IncomingRequest>(context_, std::move(setup->socket),
                                                   std::move(setup->input), places_);
  drop(setup);
  if (markers || full_places) {
    if (full_places) {
      refuse(abi::ReportKind::ConnectionRefused, setup->remote, "limits.connections are taken");
    } else {
      RPMA_LOG(Info, "rejected the request of %s port %u: it asks for markers",
               setup->remote.host.c_str(), setup->remote.port);
    }
    static_cast<void>(request->reject({}));
    return;
  }
  provider::NotifyTarget target;
  {
    const std::lock_guard lock(mutex_);
    if (!socket_.open()) return;  // closed meanwhile: dropping the request rejects it
    RPMA_LOG(Info, "a request of %s port %u waits", setup->remote.host.c_str(), setup->remote.port);
    requests_.push_back(std::move(request));
    // Within the lock: a fetch right after it must find that we stopped.
    if (requests_.size() >= limits_.unfetched_requests) stop_watching();
    target = target_;
  }
  target.notify();
}

/** Out of the epoll set; the lock is held. */
void Listener::stop_watching() {
  if (!watched_ || !socket_.open()) return;
  watched_ = false;
  context_->progress->suspend(socket_.fd());
}

/** Stops accepting for a time. */
void Listener::pause() {
  {
    const std::lock_guard lock(mutex_);
    stop_watching();
  }
  context_->progress->add_timer(core::now_ns() + abi::kAcceptPauseMs * kUnit,
                                [weak = weak_from_this()] {
                                  if (const auto self = weak.lock()) self->listen_again();
                                });
}

void Listener::listen_again() {
  {
    const std::lock_guard lock(mutex_);
    if (watched_ || !socket_.open() || requests_.size() >= limits_.unfetched_requests) return;
    watched_ = context_->progress->resume(id_, socket_.fd(), EPOLLIN).ok();
    if (watched_) return;
  }
  pause();  // and try again
}

// ---- PendingSetup ------------------------------------------------------------------------------

PendingSetup::PendingSetup(std::weak_ptr<Listener> owner, Socket accepted, provider::Address from)
    : listener(std::move(owner)), socket(std::move(accepted)), remote(std::move(from)) {}

void PendingSetup::on_ready(std::uint32_t) {
  const std::shared_ptr<Listener> owner = listener.lock();
  if (!owner || !socket.open()) return;
  owner->read_request(shared_from_this());
}

}  // namespace rpma::iwarp
