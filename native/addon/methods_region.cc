// SPDX-License-Identifier: BSD-3-Clause
//
// The binding's methods of memory regions. JavaScript thread only. The program's own memory is held
// by a reference from registration until the region is quiet; the library's memory belongs to its
// region and is detached from JavaScript when that is closed.

#include <array>
#include <utility>

#include "addon/arguments.h"
#include "addon/methods.h"
#include "core/bytes.h"
#include "core/fault_points.h"
#include "core/log.h"

namespace rpma::addon {

namespace {

/** Registers and gives out the handle; the object already names its peer and what it holds. */
napi_value add_region(Environment& environment, std::shared_ptr<RegionObject> object,
                      memory::RegionOptions options) {
  napi_env env = environment.env();
  const bool library_memory = object->viewed != nullptr;
  provider::Device& device = object->peer->peer->device();
  core::Result<std::shared_ptr<memory::Region>> region = device.register_memory(std::move(options));
  core::Status refused;
  if (region.ok()) {
    object->region = std::move(region).value();
    object->shared = std::make_shared<rma::SharedRegion>(rma::SharedRegion::Parts{
        .peer = object->peer->peer,
        .region = object->region,
        .library_memory = library_memory ? object->viewed : nullptr,
        .of_file = object->file ? object->file->regions : nullptr,
    });
    const Handle handle = environment.handles().insert(object);
    if (handle != 0) return make_number(env, static_cast<double>(handle));
    object->shared->leave([] {});
    refused = core::Status::failure(abi::Code::Limit, "every handle is taken");
  } else {
    refused = region.status();
  }
  if (object->user_buffer != nullptr) napi_delete_reference(env, object->user_buffer);
  return make_number(env, environment.fail(refused));
}

/** The queue pair a region is bound to; 0 for any. False when the handle names no connection. */
bool read_bound_connection(const Environment& environment, double handle, std::uint64_t* number) {
  *number = 0;
  if (handle == 0) return true;
  const auto* connection = environment.find<ConnectionObject>(handle);
  if (connection == nullptr) return false;
  *number = connection->number;
  return true;
}

napi_value region_allocate(napi_env env, napi_callback_info info) {
  const Call<4> call(env, info);
  Environment& environment = call.environment();
  auto* peer = environment.find<PeerObject>(call.number(0));
  if (peer == nullptr) return make_number(env, environment.fail(abi::Code::Closed));
  const std::uint64_t size = to_count(call.number(1), UINT64_MAX);
  core::Result<std::shared_ptr<memory::Mapping>> mapping =
      memory::Mapping::anonymous(size, to_bool(env, call.value(3)));
  if (!mapping.ok()) return make_number(env, environment.fail(mapping.status()));
  auto object = std::make_shared<RegionObject>();
  object->peer = environment.handles().share(peer);
  object->viewed = std::move(mapping).value();
  memory::RegionOptions options;
  options.data = object->viewed->data();
  options.length = size;
  options.usage = static_cast<std::uint32_t>(to_count(call.number(2), UINT32_MAX));
  options.mapping = object->viewed;
  return add_region(environment, std::move(object), std::move(options));
}

napi_value region_register(napi_env env, napi_callback_info info) {
  const Call<4> call(env, info);
  Environment& environment = call.environment();
  auto* peer = environment.find<PeerObject>(call.number(0));
  memory::RegionOptions options;
  if (peer == nullptr || !read_bound_connection(environment, call.number(3), &options.connection)) {
    return make_number(env, environment.fail(abi::Code::Closed));
  }
  const Bytes view = to_bytes(env, call.value(1));
  if (view.buffer == nullptr) {
    return make_number(env, environment.fail(abi::Code::InvalidArgType, "no Uint8Array"));
  }
  auto object = std::make_shared<RegionObject>();
  object->peer = environment.handles().share(peer);
  if (RPMA_FAULT_POINT("addon.reference").fail ||
      napi_create_reference(env, view.buffer, 1, &object->user_buffer) != napi_ok) {
    return make_number(
        env, environment.fail(abi::Code::NoMemory, "the engine made no reference to the buffer"));
  }
  options.data = view.bytes.data();
  options.length = view.bytes.size();
  options.usage = static_cast<std::uint32_t>(to_count(call.number(2), UINT32_MAX));
  return add_region(environment, std::move(object), std::move(options));
}

napi_value region_register_file(napi_env env, napi_callback_info info) {
  const Call<6> call(env, info);
  Environment& environment = call.environment();
  auto* peer = environment.find<PeerObject>(call.number(0));
  FileObject* file = environment.find_file(call.number(1));
  memory::RegionOptions options;
  if (peer == nullptr || file == nullptr ||
      !read_bound_connection(environment, call.number(5), &options.connection)) {
    return make_number(env, environment.fail(abi::Code::Closed));
  }
  const std::uint64_t size = file->mapping->size();
  const std::uint64_t offset = to_count(call.number(2), UINT64_MAX, UINT64_MAX);
  const std::uint64_t length = to_count(call.number(3), UINT64_MAX, UINT64_MAX);
  if (offset > size || length > size - offset) {
    return make_number(env, environment.fail(abi::Code::OutOfRange, "outside of the file"));
  }
  auto object = std::make_shared<RegionObject>();
  object->peer = environment.handles().share(peer);
  object->file = environment.handles().share(file);
  options.data = file->mapping->data() + offset;
  options.length = length;
  options.usage = static_cast<std::uint32_t>(to_count(call.number(4), UINT32_MAX));
  options.mapping = file->mapping;
  return add_region(environment, std::move(object), std::move(options));
}

napi_value region_descriptor(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const RegionObject* object = call.environment().find_region(call.number(0));
  std::array<std::uint8_t, abi::kDescriptorBytes> descriptor{};
  if (object == nullptr) {
    call.environment().fail(abi::Code::Closed);
    return make_bytes(env, descriptor);  // usage 0: refused by every reader
  }
  const memory::Region& region = *object->region;
  core::store_le64(descriptor.data(), region.base());
  core::store_le64(descriptor.data() + 8, region.length());
  core::store_le32(descriptor.data() + 16, region.key());
  core::store_u8(descriptor.data() + 20, static_cast<std::uint8_t>(region.usage()));
  return make_bytes(env, descriptor);
}

napi_value region_view(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  Environment& environment = call.environment();
  RegionObject* region = environment.find_region(call.number(0));
  if (region == nullptr) return make_number(env, environment.fail(abi::Code::Closed));
  const std::uint64_t size = region->region->length();
  const std::uint64_t offset = to_count(call.number(1), UINT64_MAX, UINT64_MAX);
  const std::uint64_t length = to_count(call.number(2), UINT64_MAX, UINT64_MAX);
  if (offset > size || length > size - offset) {
    return make_number(env, environment.fail(abi::Code::OutOfRange, "outside of the region"));
  }
  const std::shared_ptr<memory::Mapping>& mapping = region->region->mapping();
  if (!mapping) {
    return make_number(env, environment.fail(abi::Code::NotSupported, "memory of the program's"));
  }
  const std::uint64_t begin =
      static_cast<std::uint64_t>(region->region->data() - mapping->data()) + offset;
  if (region->file) return make_file_view(environment, *region->file, begin, length);
  if (mapping->read_only()) {
    return make_number(env,
                       environment.fail(abi::Code::NotSupported, "a read-only file has no view"));
  }
  napi_value view = region->views.window(env, mapping, begin, length);
  if (view != nullptr) return view;
  // What is longer than an ArrayBuffer may be was refused before.
  return make_number(
      env, environment.fail(abi::Code::NoMemory, "the engine made no ArrayBuffer for this window"));
}

napi_value region_in_flight(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const RegionObject* region = call.environment().find_region(call.number(0));
  return make_number(env, region == nullptr ? 0 : static_cast<double>(region->region->users()));
}

/** Advice under way. The use is let go of where the work was done: a closing region waits for it.
 */
struct AdviceJob {
  std::shared_ptr<rma::Peer> peer;
  memory::RegionUse use;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  abi::AdviceKind kind = abi::AdviceKind::Prefetch;
  napi_deferred deferred = nullptr;  // null when nobody waits for the outcome
  core::Status status;

  void run() {
    status = peer->device().advise(use, offset, length, kind);
    use.release();
  }
};

void finish_advice(Environment& environment, const AdviceJob& job) {
  if (job.deferred == nullptr) {
    if (!job.status.ok()) {
      RPMA_LOG(Warning, "advice failed: %s", core::StatusText(job.status).text());
    }
    return;
  }
  environment.promise_settled();
  if (!environment.usable()) return;
  if (job.status.ok()) {
    resolve_number(environment.env(), job.deferred, 0);
  } else {
    resolve_error(environment.env(), job.deferred, job.status);
  }
}

napi_value region_advise(napi_env env, napi_callback_info info) {
  const Call<5> call(env, info);
  Environment& environment = call.environment();
  RegionObject* region = environment.find_region(call.number(0));
  if (region == nullptr) return resolved_error(env, core::Status::failure(abi::Code::Closed));
  auto job = std::make_shared<AdviceJob>();
  job->use = region->region->acquire();
  if (!job->use) {
    return resolved_error(
        env, core::Status::failure(abi::Code::Closed, "its memory is gone (a truncated file?)"));
  }
  job->peer = region->peer->peer;
  job->offset = to_count(call.number(1), UINT64_MAX, UINT64_MAX);
  job->length = to_count(call.number(2), UINT64_MAX, UINT64_MAX);
  job->kind = static_cast<abi::AdviceKind>(to_count(call.number(3), abi::kAdviceKindCount - 1));
  napi_deferred deferred = nullptr;
  napi_value promise = make_promise(env, &deferred);
  if (promise == nullptr) return no_promise(env);
  const bool waits = to_bool(env, call.value(4));
  if (waits) {
    job->deferred = deferred;
    environment.promise_opened();
  }
  const bool queued = run_on_pool(
      environment, [job] { job->run(); },
      [job](Environment& ended) { finish_advice(ended, *job); });
  const core::Status no_thread = core::Status::failure(abi::Code::Limit, "no pool thread");
  if (!queued) {
    job->use.release();
    job->status = no_thread;
    if (waits) finish_advice(environment, *job);
  }
  if (!waits && queued) resolve_number(env, deferred, 0);
  if (!waits && !queued) resolve_error(env, deferred, no_thread);
  return promise;
}

napi_value region_close(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  Environment& environment = call.environment();
  RegionObject* region = environment.find_region(call.number(0));
  if (region == nullptr) {
    return resolved_error(env, core::Status::failure(abi::Code::Closed));
  }
  napi_deferred deferred = nullptr;
  napi_value promise = make_promise(env, &deferred);
  // Its promise is only a report: the region itself must end in any case.
  environment.close_region(region, deferred);
  return promise == nullptr ? no_promise(env) : promise;
}

constexpr Method kMethods[] = {
    {"regionAllocate", region_allocate},
    {"regionRegister", region_register},
    {"regionRegisterFile", region_register_file},
    {"regionDescriptor", region_descriptor},
    {"regionView", region_view},
    {"regionInFlight", region_in_flight},
    {"regionAdvise", region_advise},
    {"regionClose", region_close},
};

}  // namespace

std::span<const Method> region_methods() { return kMethods; }

}  // namespace rpma::addon
