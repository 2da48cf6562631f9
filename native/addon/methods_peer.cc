// SPDX-License-Identifier: BSD-3-Clause
//
// The binding's methods of peers. JavaScript thread only. peerClose joins the peer's threads; it is
// short because they never block.

#include <utility>

#include "addon/arguments.h"
#include "addon/methods.h"

namespace rpma::addon {

namespace {

napi_value peer_open(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  Environment& environment = call.environment();
  if (!environment.usable()) {
    return make_number(env, environment.fail(abi::Code::State, "the environment is not started"));
  }
  const provider::DeviceOptions options{
      .busy_poll_us = to_count(call.number(1), 60'000'000),
      .direct_write_to_pmem = to_bool(env, call.value(2)),
  };
  core::Result<std::shared_ptr<rma::Peer>> opened =
      rma::Peer::open(to_text(env, call.value(0)), options);
  if (!opened.ok()) return make_number(env, environment.fail(opened.status()));
  auto object = std::make_shared<PeerObject>();
  object->peer = std::move(opened).value();
  object->share = std::make_shared<rma::PeerShare>(object->peer);
  const Handle handle = environment.handles().insert(object);
  if (handle == 0) {
    return make_number(env, environment.fail(abi::Code::Limit, "every handle is taken"));
  }
  return make_number(env, static_cast<double>(handle));
}

napi_value peer_capabilities(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const PeerObject* peer = call.environment().find<PeerObject>(call.number(0));
  if (peer == nullptr) {
    call.environment().fail(abi::Code::Closed);
    return make_capabilities(env, {});
  }
  return make_capabilities(env, peer->peer->device().capabilities());
}

/** Its own and those of its connections, in two records. */
napi_value peer_statistics(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const PeerObject* peer = call.environment().find<PeerObject>(call.number(0));
  if (peer == nullptr) return make_null(env);
  const provider::PeerStatistics now = peer->peer->device().statistics();
  napi_value both = make_object(env);
  set_property(env, both, "peer", make_record(env, provider::kPeerStatisticNames, now.peer));
  set_property(env, both, "connections",
               make_record(env, provider::kStatisticNames, now.connections));
  return both;
}

napi_value peer_close(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  Environment& environment = call.environment();
  auto* peer = environment.find<PeerObject>(call.number(0));
  if (peer == nullptr) return make_number(env, environment.fail(abi::Code::Closed));
  environment.close_peer(peer);
  return make_number(env, 0);
}

constexpr Method kMethods[] = {
    {"peerOpen", peer_open},
    {"peerCapabilities", peer_capabilities},
    {"peerStatistics", peer_statistics},
    {"peerClose", peer_close},
};

}  // namespace

std::span<const Method> peer_methods() { return kMethods; }

}  // namespace rpma::addon
