// SPDX-License-Identifier: BSD-3-Clause
//
// Reading a call's arguments and building its answers. JavaScript thread only. JavaScript has
// checked the arguments already; what is here only makes sure that a wrong one cannot harm: it
// reads as NaN, false, empty or null, and the method answers with a status.
#pragma once

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "addon/environment.h"
#include "core/status.h"
#include "provider/provider.h"

namespace rpma::addon {

/** The arguments of one call; missing ones are undefined. */
template <std::size_t kCount>
class Call {
 public:
  Call(napi_env env, napi_callback_info info) : env_(env) {
    std::size_t count = kCount;
    void* data = nullptr;
    // It cannot fail inside a callback.
    napi_get_cb_info(env, info, &count, values_, nullptr, &data);
    environment_ = static_cast<Environment*>(data);
  }
  Environment& environment() const { return *environment_; }
  napi_value value(std::size_t index) const { return values_[index]; }
  double number(std::size_t index) const {
    double number = 0;
    return napi_get_value_double(env_, values_[index], &number) == napi_ok
               ? number
               : std::numeric_limits<double>::quiet_NaN();
  }

 private:
  napi_env env_;
  napi_value values_[kCount == 0 ? 1 : kCount];
  Environment* environment_ = nullptr;
};

/** A count from JavaScript; what is no count reads as `otherwise`, what is too large as most. */
std::uint64_t to_count(double number, std::uint64_t most, std::uint64_t otherwise = 0);
bool to_bool(napi_env env, napi_value value);
std::string to_text(napi_env env, napi_value value);
/** The bytes of a view; empty when it is none. Valid until JavaScript runs again. */
struct Bytes {
  std::span<std::byte> bytes;
  napi_value buffer = nullptr;  // what the view lies in
};
Bytes to_bytes(napi_env env, napi_value value);
std::vector<std::uint8_t> to_private_data(napi_env env, napi_value value);

double number_property(napi_env env, napi_value object, const char* name);
bool bool_property(napi_env env, napi_value object, const char* name);

inline napi_value make_number(napi_env env, double number) {
  napi_value value = nullptr;
  napi_create_double(env, number, &value);
  return value;
}
inline napi_value make_undefined(napi_env env) {
  napi_value value = nullptr;
  napi_get_undefined(env, &value);
  return value;
}
napi_value make_bool(napi_env env, bool on);
napi_value make_null(napi_env env);
napi_value make_text(napi_env env, std::string_view text);
napi_value make_object(napi_env env);
/** A fresh Uint8Array. */
napi_value make_bytes(napi_env env, std::span<const std::uint8_t> bytes);
/** Numbers by name. */
napi_value make_record(napi_env env, std::span<const char* const> names,
                       std::span<const std::uint64_t> values);
napi_value make_capabilities(napi_env env, const provider::Capabilities& capabilities);
void set_property(napi_env env, napi_value object, const char* name, napi_value value);

}  // namespace rpma::addon
