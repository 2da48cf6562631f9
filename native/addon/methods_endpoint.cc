// SPDX-License-Identifier: BSD-3-Clause
//
// The binding's methods of endpoints. JavaScript thread only. The endpoint's notification means
// 'call endpointNext until it returns 0, and endpointReports'.

#include <utility>

#include "addon/arguments.h"
#include "addon/async.h"
#include "addon/methods.h"

namespace rpma::addon {

namespace {

napi_value endpoint_listen(napi_env env, napi_callback_info info) {
  const Call<8> call(env, info);
  Environment& environment = call.environment();
  auto* peer = environment.find<PeerObject>(call.number(0));
  if (peer == nullptr) return make_number(env, environment.fail(abi::Code::Closed));
  const auto count = [&](std::size_t index, std::uint64_t otherwise) {
    return static_cast<std::uint32_t>(to_count(call.number(index), INT32_MAX, otherwise));
  };
  const provider::Address at{.host = to_text(env, call.value(1)),
                             .port = static_cast<std::uint16_t>(to_count(call.number(2), 65535))};
  provider::ListenLimits limits;
  limits.backlog = static_cast<int>(count(3, 0));
  limits.pending_setups = count(4, abi::kPendingSetups);
  limits.pending_setups_per_address = count(5, abi::kPendingSetupsPerAddress);
  limits.connections = count(6, abi::kConnections);
  limits.unfetched_requests = count(7, abi::kUnfetchedRequests);
  core::Result<std::shared_ptr<provider::Listener>> listener =
      peer->peer->device().listen(at, limits);
  if (!listener.ok()) return make_number(env, environment.fail(listener.status()));

  auto object = std::make_shared<EndpointObject>();
  object->peer = environment.handles().share(peer);
  object->listener = std::move(listener).value();
  const Handle handle = environment.handles().insert(object);
  if (handle == 0) {
    object->listener->close();
    return make_number(env, environment.fail(abi::Code::Limit, "every handle is taken"));
  }
  object->listener->set_notify({.notifier = environment.ready(), .token = handle});
  return make_number(env, static_cast<double>(handle));
}

napi_value endpoint_address(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const auto* endpoint = call.environment().find<EndpointObject>(call.number(0));
  provider::Address address;
  if (endpoint != nullptr) {
    address = endpoint->listener->address();
  } else {
    call.environment().fail(abi::Code::Closed);
  }
  napi_value object = make_object(env);
  set_property(env, object, "address", make_text(env, address.host));
  set_property(env, object, "port", make_number(env, address.port));
  return object;
}

napi_value endpoint_next(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  Environment& environment = call.environment();
  auto* endpoint = environment.find<EndpointObject>(call.number(0));
  if (endpoint == nullptr) return make_number(env, environment.fail(abi::Code::Closed));
  // Before the request is taken: wrong options must not cost a request.
  core::Result<rma::ConnectionOptions> options =
      read_connection_options(environment, call.value(1), *endpoint->peer);
  if (!options.ok()) return make_number(env, environment.fail(options.status()));
  std::shared_ptr<provider::IncomingRequest> request = endpoint->listener->next();
  if (!request) return make_number(env, 0);
  core::Result<std::shared_ptr<rma::Connection>> connection = rma::Connection::incoming(
      endpoint->peer->peer, std::move(request), std::move(options).value());
  if (!connection.ok()) return make_number(env, environment.fail(connection.status()));
  const core::Result<Handle> handle =
      adopt_connection(environment, std::move(connection).value(), endpoint->peer,
                       shared_queue_handle(env, call.value(1)));
  if (!handle.ok()) return make_number(env, environment.fail(handle.status()));
  return make_number(env, static_cast<double>(*handle));
}

napi_value endpoint_reports(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  auto* endpoint = call.environment().find<EndpointObject>(call.number(0));
  const std::vector<provider::Report> reports =
      endpoint == nullptr ? std::vector<provider::Report>{} : endpoint->listener->take_reports();
  if (reports.empty()) return make_null(env);
  napi_value array = nullptr;
  napi_create_array_with_length(env, reports.size(), &array);
  for (std::uint32_t i = 0; i < reports.size(); ++i) {
    napi_value object = make_object(env);
    set_property(env, object, "kind", make_number(env, static_cast<double>(reports[i].kind)));
    set_property(env, object, "count", make_number(env, static_cast<double>(reports[i].count)));
    set_property(env, object, "address", make_text(env, reports[i].address));
    set_property(env, object, "error", make_error(env, reports[i].cause));
    napi_set_element(env, array, i, object);
  }
  return array;
}

napi_value endpoint_close(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  Environment& environment = call.environment();
  auto* endpoint = environment.find<EndpointObject>(call.number(0));
  if (endpoint == nullptr) return make_number(env, environment.fail(abi::Code::Closed));
  endpoint->listener->close();
  environment.handles().erase(endpoint->handle);
  return make_number(env, 0);
}

constexpr Method kMethods[] = {
    {"endpointListen", endpoint_listen}, {"endpointAddress", endpoint_address},
    {"endpointNext", endpoint_next},     {"endpointReports", endpoint_reports},
    {"endpointClose", endpoint_close},
};

}  // namespace

std::span<const Method> endpoint_methods() { return kMethods; }

}  // namespace rpma::addon
