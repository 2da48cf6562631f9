// SPDX-License-Identifier: BSD-3-Clause
//
// The passive side's set-up: accepts TCP connections, reads one MPA Request from each within bounds
// (size, time, number, number a source address), and keeps whole requests until they are fetched.
// A set-up of an address with protection errors waits before it is read, and is pending meanwhile.
// Sockets belong to the progress thread until a request is fetched; requests may be used from any
// thread.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "provider/iwarp/device_context.h"
#include "provider/iwarp/listener_reports.h"
#include "provider/iwarp/mpa.h"
#include "provider/iwarp/queue_pair.h"

namespace rpma::iwarp {

class Listener;

/** Places of a listener that its set-ups and connections hold; shared, as they may outlive it. */
struct ListenerPlaces {
  std::atomic<std::uint32_t> connections{0};  // requests and connections made of them
};

/** A whole Request that waits for an answer. Dropped unanswered, it is rejected. */
class IncomingRequest final : public provider::IncomingRequest {
 public:
  IncomingRequest(std::shared_ptr<DeviceContext> context, Socket socket,
                  std::vector<std::byte> frame, std::shared_ptr<ListenerPlaces> places);
  ~IncomingRequest() override;

  const std::vector<std::uint8_t>& private_data() const override { return private_data_; }
  provider::Address local_address() const override { return local_; }
  provider::Address remote_address() const override { return remote_; }
  Result<std::shared_ptr<provider::QueuePair>> prepare(
      const provider::QueuePairConfig& config) override;
  Status accept(std::vector<std::uint8_t> private_data) override;
  Status reject(std::vector<std::uint8_t> private_data) override;

 private:
  SetupFrame request() const;
  Status send_reply(const ReplyFields& fields);
  void refuse(const std::vector<std::uint8_t>& private_data);

  const core::LiveCount live_{core::counters().requests};
  const std::shared_ptr<DeviceContext> context_;
  const std::shared_ptr<ListenerPlaces> places_;
  std::mutex mutex_;  // one answer only, whoever gives it
  Socket socket_;
  const std::vector<std::byte> frame_;
  std::vector<std::uint8_t> private_data_;
  provider::Address local_;
  provider::Address remote_;
  std::shared_ptr<QueuePair> queue_pair_;
};

/** One accepted socket whose Request is not whole yet. */
class PendingSetup final : public SocketHandler, public std::enable_shared_from_this<PendingSetup> {
 public:
  PendingSetup(std::weak_ptr<Listener> listener, Socket socket, provider::Address remote);
  void on_ready(std::uint32_t events) override;

  const std::weak_ptr<Listener> listener;
  Socket socket;
  const provider::Address remote;
  std::uint64_t id = 0;
  ProgressThread::TimerId timer = 0;  // the end of its time
  ProgressThread::TimerId delay = 0;  // until it is read
  std::vector<std::byte> input;
};

class Listener final : public provider::Listener,
                       public SocketHandler,
                       public std::enable_shared_from_this<Listener> {
 public:
  static Result<std::shared_ptr<Listener>> open(std::shared_ptr<DeviceContext> context,
                                                const provider::Address& at,
                                                const provider::ListenLimits& limits);
  Listener(std::shared_ptr<DeviceContext> context, Socket socket, provider::Address address,
           const provider::ListenLimits& limits);
  ~Listener() override;

  provider::Address address() const override { return address_; }
  std::shared_ptr<provider::IncomingRequest> next() override;
  void set_notify(provider::NotifyTarget target) override;
  std::vector<provider::Report> take_reports() override { return reports_->take(); }
  void close() override;

  void on_ready(std::uint32_t events) override;
  /** A pending set-up has bytes, or its time is over. On the progress thread. */
  void read_request(const std::shared_ptr<PendingSetup>& setup);
  void expire(const std::shared_ptr<PendingSetup>& setup);
  void drop(const std::shared_ptr<PendingSetup>& setup);

 private:
  void accept_one(Socket socket, const provider::Address& remote);
  bool admit(const provider::Address& remote);
  bool refuse(abi::ReportKind kind, const provider::Address& remote, const char* bound);
  void take_up(const std::shared_ptr<PendingSetup>& setup);
  void request_complete(const std::shared_ptr<PendingSetup>& setup, const SetupFrame& frame);
  void stop_watching();
  void pause();
  void listen_again();

  const core::LiveCount live_{core::counters().listeners};
  const std::shared_ptr<DeviceContext> context_;
  const provider::ListenLimits limits_;
  const std::shared_ptr<ListenerPlaces> places_ = std::make_shared<ListenerPlaces>();
  const std::shared_ptr<ListenerReports> reports_;
  const std::uint64_t id_;
  provider::Address address_;

  // Of the progress thread.
  std::set<std::shared_ptr<PendingSetup>> setups_;
  std::map<std::string, std::uint32_t> setups_by_address_;

  std::mutex mutex_;  // guards what follows
  Socket socket_;
  bool watched_ = true;  // in the epoll set: not while paused or full
  std::deque<std::shared_ptr<IncomingRequest>> requests_;
  provider::NotifyTarget target_;
};

}  // namespace rpma::iwarp
