// SPDX-License-Identifier: BSD-3-Clause
//
// See peer.h.
#include "rma/peer.h"

#include "provider/iwarp/device.h"

namespace rpma::rma {

Result<std::shared_ptr<Peer>> Peer::open(std::string_view provider,
                                         const provider::DeviceOptions& options) {
  if (provider != "iwarp" && provider != "auto") {
    return Status::failure(abi::Code::NotSupported, "this version offers the provider iwarp");
  }
  Result<std::shared_ptr<provider::Device>> device = iwarp::Device::open(options);
  if (!device.ok()) return device.status();
  return std::make_shared<Peer>(std::move(device).value());
}

}  // namespace rpma::rma
