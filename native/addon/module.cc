// SPDX-License-Identifier: BSD-3-Clause
//
// The addon's entry: it runs once in every environment that loads it and makes that environment's
// state and its methods. Nothing is mutable and static; what the environments share belongs to the
// process-wide objects of the layers below (the persist service, the counters).

#include <node_api.h>

#include <memory>

#include "addon/arguments.h"
#include "addon/environment.h"
#include "addon/fault_run.h"
#include "addon/methods.h"
#include "core/fault_points.h"

namespace rpma::addon {

namespace {

void delete_environment(napi_env, void* data, void*) {
  // Takes back what initialize() released.
  const std::unique_ptr<Environment> environment(static_cast<Environment*>(data));
}

#if defined(RPMA_TEST_FLAVOUR)
constexpr const char* kFlavour = "test";
#else
constexpr const char* kFlavour = "release";
#endif

napi_value initialize(napi_env env, napi_value exports) {
#if defined(RPMA_TEST_FLAVOUR)
  if (!begin_fault_run()) {
    napi_throw_error(env, abi::code_name(abi::Code::InvalidArgValue),
                     "RPMA_FAULT is not point:nth:errno, or there is no such point");
    return nullptr;
  }
#endif
  auto owner = std::make_unique<Environment>(env);
  if (RPMA_FAULT_POINT("addon.instance-data").fail ||
      napi_set_instance_data(env, owner.get(), delete_environment, nullptr) != napi_ok) {
    napi_throw_error(env, abi::code_name(abi::Code::Internal), "no instance data");
    return nullptr;
  }
  Environment* environment = owner.release();  // delete_environment's from here on
  set_property(env, exports, "abiHash", make_text(env, abi::kAbiHash));
  set_property(env, exports, "flavour", make_text(env, kFlavour));
  bool defined = true;
  for (const std::span<const Method> methods :
       {environment_methods(), peer_methods(), region_methods(), file_methods(), endpoint_methods(),
        connection_methods(), queue_methods(), shared_receive_queue_methods(), hand_over_methods(),
        waiting_methods(), log_methods()}) {
    defined = defined && define_methods(env, exports, methods, environment);
  }
#if defined(RPMA_TEST_FLAVOUR)
  napi_value test = make_object(env);
  defined = defined && define_methods(env, test, test_methods(), environment);
  set_property(env, exports, "test", test);
#endif
  if (!defined) {
    napi_throw_error(env, abi::code_name(abi::Code::Internal), "a method could not be defined");
  }
  return exports;
}

}  // namespace

bool define_methods(napi_env env, napi_value object, std::span<const Method> methods,
                    Environment* environment) {
  for (const Method& method : methods) {
    napi_value function = nullptr;
    if (RPMA_FAULT_POINT("addon.function").fail ||
        napi_create_function(env, method.name, NAPI_AUTO_LENGTH, method.function, environment,
                             &function) != napi_ok ||
        napi_set_named_property(env, object, method.name, function) != napi_ok) {
      return false;
    }
  }
  return true;
}

}  // namespace rpma::addon

NAPI_MODULE_INIT() { return rpma::addon::initialize(env, exports); }
