// SPDX-License-Identifier: BSD-3-Clause
//
// See arguments.h.

#include "addon/arguments.h"

#include <cstring>

namespace rpma::addon {

std::uint64_t to_count(double number, std::uint64_t most, std::uint64_t otherwise) {
  if (!(number >= 0.0)) return otherwise;
  if (number >= 9007199254740992.0) return most;
  const auto count = static_cast<std::uint64_t>(number);
  return count < most ? count : most;
}

bool to_bool(napi_env env, napi_value value) {
  bool on = false;
  return napi_get_value_bool(env, value, &on) == napi_ok && on;
}

std::string to_text(napi_env env, napi_value value) {
  std::size_t length = 0;
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &length) != napi_ok) return {};
  std::string text(length, '\0');
  napi_get_value_string_utf8(env, value, text.data(), length + 1, &length);
  return text;
}

Bytes to_bytes(napi_env env, napi_value value) {
  bool typed = false;
  if (napi_is_typedarray(env, value, &typed) != napi_ok || !typed) return {};
  napi_typedarray_type type = napi_uint8_array;
  std::size_t length = 0;
  std::size_t offset = 0;
  void* data = nullptr;
  Bytes view;
  // It serves views of a SharedArrayBuffer as well (seen on Node 20, 22 and 24).
  if (napi_get_typedarray_info(env, value, &type, &length, &data, &view.buffer, &offset) !=
          napi_ok ||
      type != napi_uint8_array) {
    return {};
  }
  view.bytes = {static_cast<std::byte*>(data), length};
  return view;
}

std::vector<std::uint8_t> to_private_data(napi_env env, napi_value value) {
  const Bytes view = to_bytes(env, value);
  std::vector<std::uint8_t> data(view.bytes.size());
  if (!data.empty()) std::memcpy(data.data(), view.bytes.data(), data.size());
  return data;
}

namespace {

napi_value property(napi_env env, napi_value object, const char* name) {
  napi_value value = nullptr;
  if (napi_get_named_property(env, object, name, &value) == napi_ok) return value;
  // A getter that threw, or no object: the method answers with a status, not with that error.
  napi_value ignored = nullptr;
  napi_get_and_clear_last_exception(env, &ignored);
  return nullptr;
}

}  // namespace

double number_property(napi_env env, napi_value object, const char* name) {
  napi_value value = property(env, object, name);
  double number = 0;
  if (value == nullptr || napi_get_value_double(env, value, &number) != napi_ok) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  return number;
}

bool bool_property(napi_env env, napi_value object, const char* name) {
  napi_value value = property(env, object, name);
  return value != nullptr && to_bool(env, value);
}

napi_value make_bool(napi_env env, bool on) {
  napi_value value = nullptr;
  napi_get_boolean(env, on, &value);
  return value;
}

napi_value make_null(napi_env env) {
  napi_value value = nullptr;
  napi_get_null(env, &value);
  return value;
}

napi_value make_text(napi_env env, std::string_view text) {
  napi_value value = nullptr;
  napi_create_string_utf8(env, text.data(), text.size(), &value);
  return value;
}

napi_value make_object(napi_env env) {
  napi_value value = nullptr;
  napi_create_object(env, &value);
  return value;
}

napi_value make_bytes(napi_env env, std::span<const std::uint8_t> bytes) {
  void* data = nullptr;
  napi_value buffer = nullptr;
  if (napi_create_arraybuffer(env, bytes.size(), &data, &buffer) != napi_ok) return nullptr;
  if (!bytes.empty()) std::memcpy(data, bytes.data(), bytes.size());
  napi_value view = nullptr;
  napi_create_typedarray(env, napi_uint8_array, bytes.size(), buffer, 0, &view);
  return view;
}

void set_property(napi_env env, napi_value object, const char* name, napi_value value) {
  napi_set_named_property(env, object, name, value);
}

napi_value make_record(napi_env env, std::span<const char* const> names,
                       std::span<const std::uint64_t> values) {
  napi_value record = make_object(env);
  for (std::size_t i = 0; i < names.size(); i += 1) {
    set_property(env, record, names[i], make_number(env, static_cast<double>(values[i])));
  }
  return record;
}

napi_value make_capabilities(napi_env env, const provider::Capabilities& from) {
  napi_value object = make_object(env);
  const auto flag = [&](const char* name, bool on) {
    set_property(env, object, name, make_bool(env, on));
  };
  const auto number = [&](const char* name, double value) {
    set_property(env, object, name, make_number(env, value));
  };
  flag("nativeFlush", from.native_flush);
  flag("nativeAtomicWrite", from.native_atomic_write);
  flag("persistentFlush", from.persistent_flush);
  flag("immediateData", from.immediate_data);
  flag("sharedReceiveQueue", from.shared_receive_queue);
  flag("backgroundProgress", from.background_progress);
  flag("onDemandPaging", from.on_demand_paging);
  flag("regionAdvice", from.region_advice);
  number("maxMessageBytes", static_cast<double>(from.max_message_bytes));
  number("maxPrivateDataBytes", from.max_private_data_bytes);
  number("maxQueueEntries", from.max_queue_entries);
  number("maxInlineBytes", from.max_inline_bytes);
  return object;
}

}  // namespace rpma::addon
