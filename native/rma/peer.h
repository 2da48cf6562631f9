// SPDX-License-Identifier: BSD-3-Clause
//
// A peer: one provider's device with its protection domain and progress threads. Everything else is
// made from it. Thread safe; shared, because the handles of several environments may name it.
#pragma once

#include <memory>
#include <string_view>

#include "provider/provider.h"

namespace rpma::rma {

using core::Result;
using core::Status;

class Peer {
 public:
  /** `provider`: "iwarp", or "auto", which chooses what is available. NotSupported for another
   * word. */
  static Result<std::shared_ptr<Peer>> open(std::string_view provider,
                                            const provider::DeviceOptions& options);
  explicit Peer(std::shared_ptr<provider::Device> device) : device_(std::move(device)) {}
  provider::Device& device() { return *device_; }
  /** Aborts what is left and stops the threads. */
  void close() { device_->close(); }

 private:
  std::shared_ptr<provider::Device> device_;
};

}  // namespace rpma::rma
