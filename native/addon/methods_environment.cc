// SPDX-License-Identifier: BSD-3-Clause
//
// The binding's methods of the environment itself: starting, waking, waiting, the last error.
// JavaScript thread only.

#include "addon/arguments.h"
#include "addon/methods.h"

namespace rpma::addon {

namespace {

napi_value start(napi_env env, napi_callback_info info) {
  const Call<4> call(env, info);
  const core::Status status =
      call.environment().start(call.value(0), call.value(1), call.value(2), call.value(3));
  if (!status.ok()) {
    // The one method that throws: without it nothing works, and JavaScript calls it once.
    call.environment().fail(status);
    napi_throw_error(env, abi::code_name(status.code),
                     status.detail != nullptr ? status.detail : abi::code_message(status.code));
  }
  return make_undefined(env);
}

napi_value drain_ready(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  return make_number(env, call.environment().drain_ready());
}

napi_value set_referenced(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  call.environment().set_referenced(to_bool(env, call.value(0)));
  return make_undefined(env);
}

napi_value wait_ready(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  call.environment().wait_ready(to_count(call.number(0), abi::kSyncWaitSliceMs));
  return make_undefined(env);
}

napi_value last_error(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  return make_error(env, call.environment().last_error());
}

constexpr Method kMethods[] = {
    {"start", start},          {"drainReady", drain_ready}, {"setReferenced", set_referenced},
    {"waitReady", wait_ready}, {"lastError", last_error},
};

}  // namespace

std::span<const Method> environment_methods() { return kMethods; }

}  // namespace rpma::addon
