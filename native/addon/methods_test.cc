// SPDX-License-Identifier: BSD-3-Clause
//
// The binding's methods that exist in the test flavour only: fault points, switches, counters and
// the durability oracle. JavaScript thread only.

#if defined(RPMA_TEST_FLAVOUR)

#include <cstring>
#include <string>

#include "addon/arguments.h"
#include "addon/methods.h"
#include "core/counters.h"
#include "core/fault_points.h"

namespace rpma::addon {

namespace {

/** A test that names what is not there must not pass: these methods throw. */
napi_value no_such(napi_env env, const char* what) {
  napi_throw_error(env, abi::code_name(abi::Code::InvalidArgValue), what);
  return nullptr;
}

napi_value fault_set(napi_env env, napi_callback_info info) {
  const Call<5> call(env, info);
  const bool found =
      core::fault::set(to_text(env, call.value(0)), to_count(call.number(1), UINT64_MAX, 1),
                       to_count(call.number(2), UINT64_MAX, 1),
                       static_cast<int>(to_count(call.number(3), INT32_MAX)),
                       static_cast<unsigned>(to_count(call.number(4), 60'000)));
  return found ? make_undefined(env) : no_such(env, "no such fault point");
}

napi_value fault_clear(napi_env env, napi_callback_info) {
  core::fault::clear_all();
  return make_undefined(env);
}

napi_value fault_hits(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  return make_number(env, static_cast<double>(core::fault::hits(to_text(env, call.value(0)))));
}

napi_value fault_names(napi_env env, napi_callback_info) {
  const std::vector<std::string> names = core::fault::names();
  napi_value array = nullptr;
  napi_create_array_with_length(env, names.size(), &array);
  for (std::uint32_t i = 0; i < names.size(); i += 1) {
    napi_set_element(env, array, i, make_text(env, names[i]));
  }
  return array;
}

napi_value switch_set(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  const bool found =
      core::fault::set_switch(to_text(env, call.value(0)), to_bool(env, call.value(1)));
  return found ? make_undefined(env) : no_such(env, "no such switch");
}

napi_value counters_of(napi_env env, bool wanted_live) {
  napi_value object = make_object(env);
  core::for_each_counter([&](const char* name, bool live, std::int64_t value) {
    if (live == wanted_live)
      set_property(env, object, name, make_number(env, static_cast<double>(value)));
  });
  return object;
}

napi_value counters(napi_env env, napi_callback_info) { return counters_of(env, true); }

napi_value events(napi_env env, napi_callback_info) { return counters_of(env, false); }

/** The oracle of the file that argument 0 names; null when it was mapped without one. */
template <std::size_t kCount>
memory::PersistOracle* oracle_of(const Call<kCount>& call) {
  const FileObject* file = call.environment().find_file(call.number(0));
  return file == nullptr ? nullptr : file->oracle.get();
}

napi_value oracle_cut(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  memory::PersistOracle* oracle = oracle_of(call);
  if (oracle == nullptr) return no_such(env, "the file has no oracle");
  oracle->cut_at(to_count(call.number(1), UINT64_MAX), to_count(call.number(2), UINT64_MAX));
  return make_undefined(env);
}

napi_value oracle_copy(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const memory::PersistOracle* oracle = oracle_of(call);
  if (oracle == nullptr) return no_such(env, "the file has no oracle");
  const std::vector<std::byte> copy = oracle->copy(0, oracle->size());
  void* data = nullptr;
  napi_value buffer = nullptr;
  if (napi_create_arraybuffer(env, copy.size(), &data, &buffer) != napi_ok) return nullptr;
  if (!copy.empty()) std::memcpy(data, copy.data(), copy.size());
  return buffer;
}

napi_value oracle_persists(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const memory::PersistOracle* oracle = oracle_of(call);
  if (oracle == nullptr) return no_such(env, "the file has no oracle");
  return make_number(env, static_cast<double>(oracle->persists()));
}

constexpr Method kMethods[] = {
    {"faultSet", fault_set},     {"faultClear", fault_clear},
    {"faultHits", fault_hits},   {"faultNames", fault_names},
    {"switchSet", switch_set},   {"counters", counters},
    {"events", events},          {"oracleCut", oracle_cut},
    {"oracleCopy", oracle_copy}, {"oraclePersists", oracle_persists},
};

}  // namespace

std::span<const Method> test_methods() { return kMethods; }

}  // namespace rpma::addon

#endif
