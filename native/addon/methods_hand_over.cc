// SPDX-License-Identifier: BSD-3-Clause
//
// The binding's methods by which environments hand objects to each other:
// docs/internals/boundary.md has the steps. JavaScript thread only; between the two environments
// the process-wide table of tickets owns what is on its way. What adopt() refuses stays good.

#include <string>
#include <utility>

#include "addon/arguments.h"
#include "addon/methods.h"
#include "core/fault_points.h"
#include "rma/ticket_table.h"

namespace rpma::addon {

namespace {

constexpr std::uint64_t kTimeoutMsMax = INT32_MAX;

core::Status no_peer() {
  return core::Status::failure(abi::Code::Foreign,
                               "its peer is not open in this thread: call Peer.adopt() with a "
                               "ticket of peer.share() first; this ticket stays good");
}

core::Status no_room() { return core::Status::failure(abi::Code::Limit, "every handle is taken"); }

napi_value failed(Environment& environment, const core::Status& status) {
  return make_number(environment.env(), environment.fail(status));
}

/** The token, or the negated number of a status. */
napi_value issue(Environment& environment, rma::Ticket ticket, double timeout_ms) {
  const core::Result<std::string> token = rma::TicketTable::process().issue(
      std::move(ticket), to_count(timeout_ms, kTimeoutMsMax, abi::kHandOverTimeoutMs));
  if (!token.ok()) return failed(environment, token.status());
  return make_text(environment.env(), *token);
}

napi_value peer_share(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  Environment& environment = call.environment();
  const auto* peer = environment.find<PeerObject>(call.number(0));
  if (peer == nullptr) return failed(environment, core::Status::failure(abi::Code::Closed));
  rma::Ticket ticket;
  ticket.kind = abi::TicketKind::Peer;
  ticket.peer = peer->peer;
  ticket.peer_share = peer->share;
  ticket.note = to_text(env, call.value(2));
  return issue(environment, std::move(ticket), call.number(1));
}

napi_value peer_adopt(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  Environment& environment = call.environment();
  if (!environment.usable()) {
    return failed(environment,
                  core::Status::failure(abi::Code::State, "the environment is not started"));
  }
  core::Result<rma::Ticket> ticket = rma::TicketTable::process().adopt(
      to_text(env, call.value(0)), abi::TicketKind::Peer, [&environment](const rma::Ticket&) {
        return environment.handles().has_room(1) ? core::Status::success() : no_room();
      });
  if (!ticket.ok()) return failed(environment, ticket.status());
  Handle handle = 0;
  if (const PeerObject* known = environment.handles().find_peer(*ticket->peer)) {
    handle = known->handle;
  } else {
    auto object = std::make_shared<PeerObject>();
    object->peer = ticket->peer;
    object->share = std::move(ticket->peer_share);
    handle = environment.handles().insert(object);
    if (handle == 0) return failed(environment, no_room());
  }
  napi_value result = make_object(env);
  set_property(env, result, "peer", make_number(env, static_cast<double>(handle)));
  set_property(env, result, "note", make_text(env, ticket->note));
  return result;
}

napi_value region_share(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  Environment& environment = call.environment();
  const RegionObject* region = environment.find_region(call.number(0));
  if (region == nullptr) return failed(environment, core::Status::failure(abi::Code::Closed));
  rma::Ticket ticket;
  ticket.kind = abi::TicketKind::Region;
  ticket.peer = region->peer->peer;
  ticket.region = region->shared;
  // Memory of the program's lives only while an environment holds it, and a ticket is none.
  ticket.holds_region = !region->shared->is_user_memory();
  if (ticket.holds_region && !ticket.region->join()) {
    return failed(environment, core::Status::failure(abi::Code::Closed));
  }
  const bool holds = ticket.holds_region;
  napi_value token = issue(environment, std::move(ticket), call.number(1));
  napi_valuetype type = napi_undefined;
  const bool issued = napi_typeof(env, token, &type) == napi_ok && type == napi_string;
  if (!issued && holds) region->shared->leave([] {});
  return token;
}

/** Whether the region's memory, when it is the program's, lies in what the caller holds. */
core::Status check_memory(const rma::SharedRegion& shared, const Bytes& held) {
  if (!shared.is_user_memory()) return core::Status::success();
  const memory::Region& region = *shared.region();
  const auto begin = reinterpret_cast<std::uintptr_t>(held.bytes.data());
  const auto data = reinterpret_cast<std::uintptr_t>(region.data());
  const std::uint64_t size = held.bytes.size();
  if (held.buffer != nullptr && data >= begin && data - begin <= size &&
      region.length() <= size - (data - begin)) {
    return core::Status::success();
  }
  return core::Status::failure(abi::Code::HandOver,
                               "the ticket came without the region's SharedArrayBuffer: pass on "
                               "the whole ticket with postMessage; it stays good");
}

napi_value region_result(Environment& environment, const RegionObject& object, const Bytes& held) {
  napi_env env = environment.env();
  const memory::Region& region = *object.region;
  const double offset =
      object.user_buffer == nullptr ? 0 : static_cast<double>(region.data() - held.bytes.data());
  napi_value result = make_object(env);
  const auto set = [&](const char* name, double number) {
    set_property(env, result, name, make_number(env, number));
  };
  set("region", static_cast<double>(object.handle));
  set("peer", static_cast<double>(object.peer->handle));
  set("sizeBytes", static_cast<double>(region.length()));
  set("usage", region.usage());
  set("offset", offset);
  return result;
}

napi_value region_adopt(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  Environment& environment = call.environment();
  const Bytes held = to_bytes(env, call.value(1));
  PeerObject* peer = nullptr;
  core::Result<rma::Ticket> ticket = rma::TicketTable::process().adopt(
      to_text(env, call.value(0)), abi::TicketKind::Region, [&](const rma::Ticket& offered) {
        peer = environment.usable() ? environment.handles().find_peer(*offered.peer) : nullptr;
        if (peer == nullptr) return no_peer();
        if (!environment.handles().has_room(1)) return no_room();
        return check_memory(*offered.region, held);
      });
  if (!ticket.ok()) return failed(environment, ticket.status());
  auto object = std::make_shared<RegionObject>();
  object->peer = environment.handles().share(peer);
  object->shared = ticket->region;
  object->region = ticket->region->region();
  object->viewed = object->region->mapping();
  // The memory is held before the share is taken: whoever has a share has the memory.
  const bool is_held =
      ticket->holds_region ||
      (!RPMA_FAULT_POINT("addon.reference").fail &&
       napi_create_reference(env, held.buffer, 1, &object->user_buffer) == napi_ok);
  if (!is_held) {
    return failed(environment, core::Status::failure(abi::Code::Internal, "no reference"));
  }
  if (!ticket->holds_region && !object->shared->join()) {
    napi_delete_reference(env, object->user_buffer);
    return failed(environment,
                  core::Status::failure(abi::Code::HandOver,
                                        "the region was closed before the ticket was adopted: "
                                        "keep it open until then"));
  }
  if (environment.handles().insert(object) == 0) {
    object->shared->leave([] {});
    if (object->user_buffer != nullptr) napi_delete_reference(env, object->user_buffer);
    return failed(environment, no_room());
  }
  return region_result(environment, *object, held);
}

/** Notifications of it go nowhere, and its handle is gone; what is queued stays queued. */
void let_go(Environment& environment, QueueObject* queue) {
  if (queue == nullptr) return;
  queue->queue->set_notify({});
  environment.handles().erase(queue->handle);
}

void let_go(Environment& environment, ConnectionObject* connection) {
  if (connection == nullptr) return;
  provider::QueuePair& queue_pair = connection->connection->queue_pair();
  queue_pair.set_notify({});
  queue_pair.give_back();
  environment.remove_connection(connection);
  environment.handles().erase(connection->handle);
}

napi_value connection_hand_over(napi_env env, napi_callback_info info) {
  const Call<7> call(env, info);
  Environment& environment = call.environment();
  const auto* peer = environment.find<PeerObject>(call.number(0));
  auto* connection = environment.find<ConnectionObject>(call.number(1));
  auto* queue = environment.find<QueueObject>(call.number(2));
  auto* receive_queue = environment.find<QueueObject>(call.number(3));
  if (peer == nullptr || (connection == nullptr && call.number(1) != 0)) {
    return failed(environment, core::Status::failure(abi::Code::Closed));
  }
  rma::Ticket ticket;
  ticket.kind = static_cast<abi::TicketKind>(to_count(call.number(4), abi::kTicketKindCount - 1));
  ticket.note = to_text(env, call.value(5));
  ticket.peer = peer->peer;
  if (connection != nullptr) {
    ticket.connection = connection->connection;
    // On-error operations that waited for company.
    ticket.connection->kick();
  }
  if (queue != nullptr) ticket.queue = queue->queue;
  if (receive_queue != nullptr) ticket.receive_queue = receive_queue->queue;
  const core::Result<std::string> token = rma::TicketTable::process().issue(
      std::move(ticket), to_count(call.number(6), kTimeoutMsMax, abi::kHandOverTimeoutMs));
  if (!token.ok()) return failed(environment, token.status());
  let_go(environment, connection);
  let_go(environment, queue);
  let_go(environment, receive_queue);
  return make_text(env, *token);
}

/** A handle of a queue whose connection has ended; 0 for none. */
Handle adopt_left_queue(Environment& environment, std::shared_ptr<provider::CompletionQueue> queue,
                        const std::shared_ptr<PeerObject>& peer) {
  if (!queue) return 0;
  auto object = std::make_shared<QueueObject>();
  object->is_private = true;
  object->queue = std::move(queue);
  object->peer = peer;
  const Handle handle = environment.handles().insert(object);
  object->queue->set_notify({.notifier = environment.ready(), .token = handle});
  return handle;
}

napi_value connection_adopt(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  Environment& environment = call.environment();
  PeerObject* found = nullptr;
  const auto kind =
      static_cast<abi::TicketKind>(to_count(call.number(1), abi::kTicketKindCount - 1));
  core::Result<rma::Ticket> ticket = rma::TicketTable::process().adopt(
      to_text(env, call.value(0)), kind, [&](const rma::Ticket& offered) {
        found = environment.usable() ? environment.handles().find_peer(*offered.peer) : nullptr;
        if (found == nullptr) return no_peer();
        return environment.handles().has_room(3) ? core::Status::success() : no_room();
      });
  if (!ticket.ok()) return failed(environment, ticket.status());
  const std::shared_ptr<PeerObject> peer = environment.handles().share(found);
  Handle connection = 0;
  Handle queue = 0;
  Handle receive_queue = 0;
  if (ticket->connection) {
    const core::Result<Handle> made =
        adopt_connection(environment, std::move(ticket->connection), peer, 0);
    if (!made.ok()) return failed(environment, made.status());
    connection = *made;
    const auto* object = environment.find<ConnectionObject>(static_cast<double>(connection));
    queue = object->completion_queue;
    receive_queue = object->receive_queue;
  } else {
    queue = adopt_left_queue(environment, std::move(ticket->queue), peer);
    receive_queue = adopt_left_queue(environment, std::move(ticket->receive_queue), peer);
  }
  napi_value result = make_object(env);
  const auto set = [&](const char* name, Handle handle) {
    set_property(env, result, name, make_number(env, static_cast<double>(handle)));
  };
  set("peer", peer->handle);
  set("connection", connection);
  set("queue", queue);
  set("receiveQueue", receive_queue);
  set_property(env, result, "note", make_text(env, ticket->note));
  return result;
}

constexpr Method kMethods[] = {
    {"peerShare", peer_share},
    {"peerAdopt", peer_adopt},
    {"regionShare", region_share},
    {"regionAdopt", region_adopt},
    {"connectionHandOver", connection_hand_over},
    {"connectionAdopt", connection_adopt},
};

}  // namespace

std::span<const Method> hand_over_methods() { return kMethods; }

}  // namespace rpma::addon
