// SPDX-License-Identifier: BSD-3-Clause
//
// See views.h. Several external ArrayBuffers over the same bytes are allowed by Node 20, 22 and 24;
// an environment that ends detaches and finalizes them by itself.

#include "addon/views.h"

#include "core/fault_points.h"

namespace rpma::addon {

namespace {

using MappingShare = std::shared_ptr<memory::Mapping>;

void drop_share(napi_env, void*, void* hint) {
  // Takes back what window() released; the share ends with this pointer.
  const std::unique_ptr<MappingShare> share(static_cast<MappingShare*>(hint));
}

napi_value alive(napi_env env, napi_ref reference) {
  napi_value buffer = nullptr;
  return napi_get_reference_value(env, reference, &buffer) == napi_ok ? buffer : nullptr;
}

}  // namespace

napi_value ViewSet::window(napi_env env, const std::shared_ptr<memory::Mapping>& mapping,
                           std::uint64_t offset, std::uint64_t length) {
  const auto key = std::make_pair(offset, length);
  const auto known = windows_.find(key);
  if (known != windows_.end()) {
    napi_value buffer = alive(env, known->second);
    bool detached = false;
    if (buffer != nullptr && napi_is_detached_arraybuffer(env, buffer, &detached) == napi_ok &&
        !detached) {
      return buffer;
    }
    napi_delete_reference(env, known->second);
    windows_.erase(known);
  }
  if (windows_.size() >= sweep_at_) forget_collected(env);

  auto share = std::make_unique<MappingShare>(mapping);
  napi_value buffer = nullptr;
  if (RPMA_FAULT_POINT("addon.external-arraybuffer").fail ||
      napi_create_external_arraybuffer(env, mapping->data() + offset, length, drop_share,
                                       share.get(), &buffer) != napi_ok) {
    // An ArrayBuffer longer than the engine allows also throws; the caller answers with a status.
    napi_value ignored = nullptr;
    napi_get_and_clear_last_exception(env, &ignored);
    return nullptr;
  }
  static_cast<void>(share.release());  // drop_share's from here on
  napi_ref reference = nullptr;
  if (RPMA_FAULT_POINT("addon.reference").fail ||
      napi_create_reference(env, buffer, 0, &reference) != napi_ok) {
    napi_detach_arraybuffer(env, buffer);  // what cannot be found again must not stay usable
    return nullptr;
  }
  windows_.emplace(key, reference);
  return buffer;
}

void ViewSet::detach_all(napi_env env) {
  for (const auto& [key, reference] : windows_) {
    napi_value buffer = alive(env, reference);
    if (buffer != nullptr) napi_detach_arraybuffer(env, buffer);
    napi_delete_reference(env, reference);
  }
  windows_.clear();
}

void ViewSet::forget_collected(napi_env env) {
  for (auto entry = windows_.begin(); entry != windows_.end();) {
    if (alive(env, entry->second) == nullptr) {
      napi_delete_reference(env, entry->second);
      entry = windows_.erase(entry);
    } else {
      ++entry;
    }
  }
  // Doubling keeps the sweeps' cost per window constant.
  sweep_at_ = windows_.size() < 32 ? 64 : windows_.size() * 2;
}

}  // namespace rpma::addon
