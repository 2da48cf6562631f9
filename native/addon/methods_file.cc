// SPDX-License-Identifier: BSD-3-Clause
//
// The binding's methods of mapped files. JavaScript thread only; mapping runs on a pool thread,
// persisting on a persist thread (storage) or a pool thread (what the processor persists). Only
// filePersistSync persists on the caller's thread, because that is what it is asked for.

#include <string>
#include <utility>

#include "addon/arguments.h"
#include "addon/methods.h"

namespace rpma::addon {

namespace {

/** What a mapping under way carries from the call to its end. */
struct MapJob {
  std::string path;
  memory::MapOptions options;
  napi_deferred deferred = nullptr;
  std::shared_ptr<FileObject> object = std::make_shared<FileObject>();
  core::Status status;
};

MapJob read_map_job(napi_env env, napi_value path, napi_value options) {
  MapJob job;
  job.path = to_text(env, path);
  job.options.size = to_count(number_property(env, options, "sizeBytes"), UINT64_MAX);
  job.options.offset = to_count(number_property(env, options, "offset"), UINT64_MAX);
  job.options.create = bool_property(env, options, "create");
  job.options.mode =
      static_cast<mode_t>(to_count(number_property(env, options, "mode"), 07777, 0600));
  job.options.read_only = bool_property(env, options, "readOnly");
  job.options.allow_volatile = bool_property(env, options, "allowVolatile");
#if defined(RPMA_TEST_FLAVOUR)
  if (bool_property(env, options, "oracle")) {
    job.object->oracle = memory::PersistOracle::create();
    job.options.persist = job.object->oracle->persist_override();
  }
#endif
  return job;
}

void finish_map(Environment& environment, MapJob& job) {
  environment.promise_settled();
  if (!environment.usable()) return;  // the mapping ends with the job
  napi_env env = environment.env();
  if (job.status.ok()) {
    const Handle handle = environment.handles().insert(job.object);
    if (handle != 0) {
      resolve_number(env, job.deferred, static_cast<double>(handle));
      return;
    }
    job.status = core::Status::failure(abi::Code::Limit, "every handle is taken");
  }
  resolve_error(env, job.deferred, job.status);
}

napi_value file_map(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  Environment& environment = call.environment();
  if (!environment.usable()) {
    return resolved_error(
        env, core::Status::failure(abi::Code::State, "the environment is not started"));
  }
  auto job = std::make_shared<MapJob>(read_map_job(env, call.value(0), call.value(1)));
  napi_value promise = make_promise(env, &job->deferred);
  if (promise == nullptr) return no_promise(env);
  environment.promise_opened();
  const bool queued = run_on_pool(
      environment,
      [job] {
        auto mapped = memory::Mapping::file(job->path, job->options);
        if (mapped.ok()) {
          job->object->mapping = std::move(mapped).value();
        } else {
          job->status = mapped.status();
        }
      },
      [job](Environment& ended) { finish_map(ended, *job); });
  if (!queued) {
    job->status = core::Status::failure(abi::Code::Limit, "no pool thread");
    finish_map(environment, *job);
  }
  return promise;
}

napi_value file_info(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const FileObject* file = call.environment().find_file(call.number(0));
  if (file == nullptr) call.environment().fail(abi::Code::Closed);
  napi_value object = make_object(env);
  set_property(env, object, "sizeBytes",
               make_number(env, file == nullptr ? 0 : static_cast<double>(file->mapping->size())));
  set_property(env, object, "isPmem", make_bool(env, file != nullptr && file->mapping->is_pmem()));
  const auto durability =
      file == nullptr ? abi::PmemDurability::Memory : file->mapping->durability();
  set_property(env, object, "durability", make_number(env, static_cast<double>(durability)));
  return object;
}

napi_value file_view(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  Environment& environment = call.environment();
  FileObject* file = environment.find_file(call.number(0));
  if (file == nullptr) return make_number(env, environment.fail(abi::Code::Closed));
  return make_file_view(environment, *file, to_count(call.number(1), UINT64_MAX, UINT64_MAX),
                        to_count(call.number(2), UINT64_MAX, UINT64_MAX));
}

/** One persist asked for by JavaScript. */
struct PersistJob {
  std::shared_ptr<FileObject> file;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  napi_deferred deferred = nullptr;
  core::Status status;
};

void finish_persist(Environment& environment, const PersistJob& job) {
  environment.promise_settled();
  environment.persist_ended(job.file);
  if (!environment.usable()) return;
  if (job.status.ok()) {
    resolve_number(environment.env(), job.deferred, 0);
  } else {
    resolve_error(environment.env(), job.deferred, job.status);
  }
}

/** For what the processor persists: it blocks in no disk, but a long range takes its time. */
core::Status persist_on_pool(Environment& environment, const std::shared_ptr<PersistJob>& job) {
  const bool queued = run_on_pool(
      environment,
      [job] {
        job->status = job->file->mapping->persist_target()->persist(job->offset, job->length);
      },
      [job](Environment& ended) { finish_persist(ended, *job); });
  return queued ? core::Status::success()
                : core::Status::failure(abi::Code::Limit, "no pool thread");
}

/** Hands it to a persist thread, where it is merged with others of the file. */
core::Status submit_persist(Environment& environment, const std::shared_ptr<PersistJob>& job) {
  const std::shared_ptr<memory::PersistService>& service = environment.persist_service();
  return service->submit(job->file->mapping->persist_target(), job->offset, job->length,
                         [job, tasks = environment.tasks()](core::Status status) {
                           job->status = status;
                           tasks->push([job](Environment& ended) { finish_persist(ended, *job); });
                         });
}

napi_value file_persist(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  Environment& environment = call.environment();
  FileObject* file = environment.find_file(call.number(0));
  if (file == nullptr) return resolved_error(env, core::Status::failure(abi::Code::Closed));
  auto job = std::make_shared<PersistJob>();
  job->file = environment.handles().share(file);
  job->offset = to_count(call.number(1), UINT64_MAX, UINT64_MAX);
  job->length = to_count(call.number(2), UINT64_MAX, UINT64_MAX);
  napi_value promise = make_promise(env, &job->deferred);
  if (promise == nullptr) return no_promise(env);
  file->persists += 1;
  environment.promise_opened();
  const core::Status begun = file->mapping->persist_target()->runs_inline()
                                 ? persist_on_pool(environment, job)
                                 : submit_persist(environment, job);
  if (!begun.ok()) {
    job->status = begun;
    finish_persist(environment, *job);
  }
  return promise;
}

napi_value file_persist_sync(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  Environment& environment = call.environment();
  const FileObject* file = environment.find_file(call.number(0));
  if (file == nullptr) return make_number(env, environment.fail(abi::Code::Closed));
  const core::Status status =
      file->mapping->persist_target()->persist(to_count(call.number(1), UINT64_MAX, UINT64_MAX),
                                               to_count(call.number(2), UINT64_MAX, UINT64_MAX));
  return make_number(env, status.ok() ? 0 : environment.fail(status));
}

napi_value file_unmap(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  Environment& environment = call.environment();
  FileObject* file = environment.find_file(call.number(0));
  if (file == nullptr) return resolved_error(env, core::Status::failure(abi::Code::Closed));
  if (file->regions->load() > 0) {
    return resolved_error(
        env, core::Status::failure(abi::Code::Busy,
                                   "a region of it is open, here, in another thread or in a "
                                   "ticket: close it there first"));
  }
  napi_deferred deferred = nullptr;
  napi_value promise = make_promise(env, &deferred);
  if (promise == nullptr) return no_promise(env);
  environment.unmap_file(file, deferred);
  return promise;
}

constexpr Method kMethods[] = {
    {"fileMap", file_map},
    {"fileInfo", file_info},
    {"fileView", file_view},
    {"filePersist", file_persist},
    {"filePersistSync", file_persist_sync},
    {"fileUnmap", file_unmap},
};

}  // namespace

napi_value make_file_view(Environment& environment, FileObject& file, std::uint64_t offset,
                          std::uint64_t length) {
  napi_env env = environment.env();
  const std::uint64_t size = file.mapping->size();
  if (offset > size || length > size - offset) {
    return make_number(env, environment.fail(abi::Code::OutOfRange, "outside of the file"));
  }
  if (file.mapping->read_only()) {
    // An ArrayBuffer cannot be read-only, and a store to such a page would end the process.
    return make_number(env,
                       environment.fail(abi::Code::NotSupported, "a read-only file has no view"));
  }
  napi_value view = file.views.window(env, file.mapping, offset, length);
  if (view != nullptr) return view;
  // What is longer than an ArrayBuffer may be was refused before.
  return make_number(
      env, environment.fail(abi::Code::NoMemory, "the engine made no ArrayBuffer for this window"));
}

std::span<const Method> file_methods() { return kMethods; }

}  // namespace rpma::addon
