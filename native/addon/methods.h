// SPDX-License-Identifier: BSD-3-Clause
//
// The methods of the binding, one file for each kind of object. The contract is
// lib/internal/native.ts: a method returns what it says there, and a negated status number when it
// failed. All run on the JavaScript thread of their environment.
#pragma once

#include <node_api.h>

#include <span>

#include "addon/environment.h"
#include "rma/connection.h"

namespace rpma::addon {

struct Method {
  const char* name;
  napi_callback function;
};

std::span<const Method> environment_methods();
std::span<const Method> peer_methods();
std::span<const Method> region_methods();
std::span<const Method> file_methods();
std::span<const Method> endpoint_methods();
std::span<const Method> connection_methods();
std::span<const Method> queue_methods();
std::span<const Method> shared_receive_queue_methods();
std::span<const Method> hand_over_methods();
std::span<const Method> waiting_methods();
std::span<const Method> log_methods();
#if defined(RPMA_TEST_FLAVOUR)
std::span<const Method> test_methods();
#endif

/** Adds them to the object, each with the environment as its data. */
bool define_methods(napi_env env, napi_value object, std::span<const Method> methods,
                    Environment* environment);

/** A window of a file, or the negated number of a status. */
napi_value make_file_view(Environment& environment, FileObject& file, std::uint64_t offset,
                          std::uint64_t length);

/** NativeConnectionOptions. Fails when a shared queue is closed or another peer's. */
core::Result<rma::ConnectionOptions> read_connection_options(const Environment& environment,
                                                             napi_value options,
                                                             const PeerObject& peer);
/** The option completionQueue: a handle, 0 for a private queue. */
double shared_queue_handle(napi_env env, napi_value options);
/** A handle for a private queue; null queues have none. False when every handle is taken. */
bool adopt_queue(Environment& environment, const std::shared_ptr<provider::CompletionQueue>& queue,
                 const std::shared_ptr<PeerObject>& peer, Handle* handle);
/** Gives handles to a fresh connection and its private queues; points their notifications here. */
core::Result<Handle> adopt_connection(Environment& environment,
                                      std::shared_ptr<rma::Connection> connection,
                                      const std::shared_ptr<PeerObject>& peer,
                                      double shared_completion_queue);

}  // namespace rpma::addon
