// SPDX-License-Identifier: BSD-3-Clause
//
// The binding's methods of the process's log. JavaScript thread only; the log itself belongs to the
// process and takes its own lock.

#include <array>

#include "addon/arguments.h"
#include "addon/methods.h"
#include "core/log.h"

namespace rpma::addon {

namespace {

constexpr std::size_t kRecordsPerRead = 16;

core::LogThreshold which_of(double number) {
  return static_cast<core::LogThreshold>(to_count(number, abi::kLogThresholdCount - 1));
}

napi_value log_threshold(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  return make_number(env, static_cast<double>(core::log_threshold(which_of(call.number(0)))));
}

napi_value log_set_threshold(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  const std::uint64_t level = to_count(call.number(1), abi::kLogLevelCount - 1);
  core::log_set_threshold(which_of(call.number(0)), static_cast<core::LogLevel>(level));
  return make_undefined(env);
}

napi_value log_set_sink(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const ReadyList* reader =
      to_bool(env, call.value(0)) ? call.environment().ready().get() : nullptr;
  core::log_set_sink(reader);
  return make_undefined(env);
}

napi_value log_has_sink(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  return make_bool(env, core::log_has_sink(call.environment().ready().get()));
}

napi_value make_record(napi_env env, const core::LogRecord& record) {
  napi_value object = make_object(env);
  set_property(env, object, "level", make_number(env, static_cast<double>(record.level)));
  set_property(env, object, "message", make_text(env, static_cast<const char*>(record.message)));
  set_property(env, object, "time", make_number(env, static_cast<double>(record.time_us) / 1000));
  set_property(env, object, "file", make_text(env, record.file));
  set_property(env, object, "line", make_number(env, record.line));
  set_property(env, object, "function", make_text(env, record.function));
  set_property(env, object, "provider",
               make_text(env, record.provider != nullptr ? record.provider : ""));
  set_property(env, object, "dropped", make_number(env, static_cast<double>(record.dropped)));
  return object;
}

napi_value log_read(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  std::array<core::LogRecord, kRecordsPerRead> records;
  std::size_t count = 0;
  if (call.environment().usable()) {
    count = core::log_read(call.environment().ready().get(), records);
  }
  napi_value array = nullptr;
  napi_create_array_with_length(env, count, &array);
  for (std::uint32_t i = 0; i < count; i += 1) {
    napi_set_element(env, array, i, make_record(env, records[i]));
  }
  return array;
}

constexpr Method kMethods[] = {
    {"logThreshold", log_threshold}, {"logSetThreshold", log_set_threshold},
    {"logSetSink", log_set_sink},    {"logHasSink", log_has_sink},
    {"logRead", log_read},
};

}  // namespace

std::span<const Method> log_methods() { return kMethods; }

}  // namespace rpma::addon
