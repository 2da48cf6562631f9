// SPDX-License-Identifier: BSD-3-Clause
//
// The binding's methods of connections. JavaScript thread only. post() is the hot one: it reads the
// submission records in place and makes no JavaScript object.

#include <algorithm>
#include <cstring>
#include <utility>

#include "addon/arguments.h"
#include "addon/methods.h"

namespace rpma::addon {

namespace {

ConnectionObject* find_connection(const Environment& environment, double handle) {
  return environment.find<ConnectionObject>(handle);
}

napi_value answer(Environment& environment, const core::Status& status) {
  return make_number(environment.env(), status.ok() ? 0 : environment.fail(status));
}

napi_value closed(Environment& environment) {
  return make_number(environment.env(), environment.fail(abi::Code::Closed));
}

napi_value connection_create(napi_env env, napi_callback_info info) {
  const Call<4> call(env, info);
  Environment& environment = call.environment();
  auto* peer = environment.find<PeerObject>(call.number(0));
  if (peer == nullptr) return closed(environment);
  core::Result<rma::ConnectionOptions> options =
      read_connection_options(environment, call.value(3), *peer);
  if (!options.ok()) return answer(environment, options.status());
  provider::Address to{.host = to_text(env, call.value(1)),
                       .port = static_cast<std::uint16_t>(to_count(call.number(2), 65535))};
  core::Result<std::shared_ptr<rma::Connection>> connection =
      rma::Connection::outgoing(peer->peer, std::move(to), std::move(options).value());
  if (!connection.ok()) return answer(environment, connection.status());
  const core::Result<Handle> handle =
      adopt_connection(environment, std::move(connection).value(),
                       environment.handles().share(peer), shared_queue_handle(env, call.value(3)));
  if (!handle.ok()) return answer(environment, handle.status());
  return make_number(env, static_cast<double>(*handle));
}

/** connect, accept and reject: what they do with the private data is all that differs. */
template <core::Status (rma::Connection::*kStep)(std::vector<std::uint8_t>)>
napi_value connection_step(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  Environment& environment = call.environment();
  ConnectionObject* object = find_connection(environment, call.number(0));
  if (object == nullptr) return closed(environment);
  return answer(environment, ((*object->connection).*kStep)(to_private_data(env, call.value(1))));
}

napi_value connection_info(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const ConnectionObject* object = find_connection(call.environment(), call.number(0));
  if (object == nullptr) {
    call.environment().fail(abi::Code::Closed);
    return make_null(env);
  }
  rma::Connection& connection = *object->connection;
  const provider::Address local = connection.local_address();
  const provider::Address remote = connection.remote_address();
  napi_value result = make_object(env);
  const auto set = [&](const char* name, napi_value value) {
    set_property(env, result, name, value);
  };
  set("queuePairNumber", make_number(env, object->number));
  set("localAddress", make_text(env, local.host));
  set("localPort", make_number(env, local.port));
  set("remoteAddress", make_text(env, remote.host));
  set("remotePort", make_number(env, remote.port));
  set("privateData", make_bytes(env, connection.request_private_data()));
  set("completionQueue", make_number(env, static_cast<double>(object->completion_queue)));
  set("receiveCompletionQueue", make_number(env, static_cast<double>(object->receive_queue)));
  set("capabilities", make_capabilities(env, connection.queue_pair().capabilities()));
  return result;
}

napi_value connection_state(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const ConnectionObject* object = find_connection(call.environment(), call.number(0));
  if (object == nullptr) return closed(call.environment());
  return make_number(env, static_cast<double>(object->connection->queue_pair().state()));
}

napi_value connection_statistics(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const ConnectionObject* object = find_connection(call.environment(), call.number(0));
  if (object == nullptr) return make_null(env);
  return make_record(env, provider::kStatisticNames, object->connection->queue_pair().statistics());
}

napi_value connection_next_event(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const ConnectionObject* object = find_connection(call.environment(), call.number(0));
  if (object == nullptr) {
    call.environment().fail(abi::Code::Closed);
    return make_null(env);
  }
  const std::optional<provider::Event> event = object->connection->queue_pair().next_event();
  if (!event) return make_null(env);
  napi_value result = make_object(env);
  set_property(env, result, "type", make_number(env, static_cast<double>(event->type)));
  set_property(env, result, "error",
               event->cause.ok() ? make_null(env) : make_error(env, event->cause));
  set_property(env, result, "privateData", make_bytes(env, event->private_data));
  return result;
}

napi_value connection_apply_peer_config(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  ConnectionObject* object = find_connection(call.environment(), call.number(0));
  if (object == nullptr) return closed(call.environment());
  object->connection->apply_peer_config(to_bool(env, call.value(1)));
  return make_number(env, 0);
}

napi_value connection_disconnect(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  ConnectionObject* object = find_connection(call.environment(), call.number(0));
  if (object == nullptr) return closed(call.environment());
  // An hour bounds what JavaScript did not.
  object->connection->queue_pair().disconnect(to_count(call.number(1), 3'600'000));
  return make_number(env, 0);
}

napi_value connection_destroy(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  ConnectionObject* object = find_connection(call.environment(), call.number(0));
  if (object == nullptr) return closed(call.environment());
  object->connection->queue_pair().abort(
      core::Status::failure(abi::Code::Closed, "destroyed by the program"));
  return make_number(env, 0);
}

napi_value connection_release(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  Environment& environment = call.environment();
  ConnectionObject* object = find_connection(environment, call.number(0));
  if (object == nullptr) return closed(environment);
  const abi::ConnectionState state = object->connection->queue_pair().state();
  if (state == abi::ConnectionState::Established || state == abi::ConnectionState::Closing) {
    return make_number(env, environment.fail(abi::Code::State, "it has not ended"));
  }
  environment.remove_connection(object);
  environment.handles().erase(object->handle);
  return make_number(env, 0);
}

napi_value send_queue_free(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const ConnectionObject* object = find_connection(call.environment(), call.number(0));
  call.environment().kick_deferred();
  return make_number(env,
                     object == nullptr ? 0 : object->connection->queue_pair().send_queue_free());
}

napi_value watch_send_queue(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  Environment& environment = call.environment();
  const ConnectionObject* object = find_connection(environment, call.number(0));
  if (object == nullptr) return closed(environment);
  environment.kick_deferred();
  const auto slots = static_cast<std::uint32_t>(to_count(call.number(1), abi::kQueueSizeMax));
  return make_number(env, object->connection->queue_pair().watch_send_queue(slots) ? 1 : 0);
}

napi_value receive_queue_free(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const ConnectionObject* object = find_connection(call.environment(), call.number(0));
  return make_number(env,
                     object == nullptr ? 0 : object->connection->queue_pair().receive_queue_free());
}

/** Posts one record; the region that it names must be open and of the connection's peer. */
core::Status post_record(const Environment& environment, const ConnectionObject& connection,
                         const abi::Submission& record) {
  if (record.local_region == 0) return connection.connection->post(record, nullptr);
  const RegionObject* region = environment.find_region(record.local_region);
  if (region == nullptr) return core::Status::failure(abi::Code::Closed, "the local region");
  if (region->peer != connection.peer) return core::Status::failure(abi::Code::Foreign);
  return connection.connection->post(record, region->region);
}

/**
 * Whether what was posted may wait for company: on-error operations, few and small. Their outcome
 * is known only through a later operation, so nobody can wait for one that has not left.
 */
bool may_wait(ConnectionObject& object, std::span<const abi::Submission> posted) {
  constexpr std::uint32_t kCountMax = 16;
  constexpr std::uint64_t kBytesMax = 16 * 1024;
  for (const abi::Submission& record : posted) {
    if ((record.flags & abi::kSubmissionFlagsSignalled) != 0) return false;
    object.unkicked_count += 1;
    object.unkicked_bytes += static_cast<std::uint64_t>(record.length);
  }
  return object.unkicked_count < kCountMax && object.unkicked_bytes < kBytesMax;
}

napi_value post(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  Environment& environment = call.environment();
  ConnectionObject* object = find_connection(environment, call.number(0));
  if (object == nullptr) return closed(environment);
  const std::span<const abi::Submission> records = environment.records().submissions;
  const std::uint64_t count = to_count(call.number(1), records.size());
  core::Status status;
  std::uint64_t accepted = 0;
  while (accepted < count) {
    status = post_record(environment, *object, records[accepted]);
    if (!status.ok()) break;
    accepted += 1;
  }
  if (status.ok() && may_wait(*object, records.first(accepted))) {
    environment.defer_kick(object);
  } else {
    object->unkicked_count = 0;
    object->unkicked_bytes = 0;
    object->connection->kick();
  }
  const double failed = status.ok() ? 0 : environment.fail(status);
  return make_number(env, accepted > 0 ? static_cast<double>(accepted) : failed);
}

constexpr Method kMethods[] = {
    {"connectionCreate", connection_create},
    {"connectionConnect", connection_step<&rma::Connection::connect>},
    {"connectionAccept", connection_step<&rma::Connection::accept>},
    {"connectionReject", connection_step<&rma::Connection::reject>},
    {"connectionInfo", connection_info},
    {"connectionState", connection_state},
    {"connectionStatistics", connection_statistics},
    {"connectionNextEvent", connection_next_event},
    {"connectionApplyPeerConfig", connection_apply_peer_config},
    {"connectionDisconnect", connection_disconnect},
    {"connectionDestroy", connection_destroy},
    {"connectionRelease", connection_release},
    {"sendQueueFree", send_queue_free},
    {"watchSendQueue", watch_send_queue},
    {"receiveQueueFree", receive_queue_free},
    {"post", post},
};

}  // namespace

std::span<const Method> connection_methods() { return kMethods; }

}  // namespace rpma::addon
