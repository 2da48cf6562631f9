// SPDX-License-Identifier: BSD-3-Clause
//
// The ArrayBuffers handed out over one mapping, each a window of it. JavaScript thread only. The
// set holds them weakly; a window asked for twice is the same ArrayBuffer while the first lives.
// Each ArrayBuffer's finalizer holds a share of the mapping, so the addresses outlast every view,
// also one that transfer() moved out of reach of detach_all().
#pragma once

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "memory/mapping.h"

namespace rpma::addon {

class ViewSet {
 public:
  /** Null when the engine refuses it. */
  napi_value window(napi_env env, const std::shared_ptr<memory::Mapping>& mapping,
                    std::uint64_t offset, std::uint64_t length);
  /** JavaScript keeps the objects, with length 0. */
  void detach_all(napi_env env);

 private:
  void forget_collected(napi_env env);

  std::map<std::pair<std::uint64_t, std::uint64_t>, napi_ref> windows_;
  std::size_t sweep_at_ = 64;
};

}  // namespace rpma::addon
