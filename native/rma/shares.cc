// SPDX-License-Identifier: BSD-3-Clause
//
// See shares.h.
#include "rma/shares.h"

#include "rma/ticket_table.h"

namespace rpma::rma {

PeerShare::~PeerShare() {
  TicketTable::process().drop(*peer_);
  peer_->close();
}

SharedRegion::SharedRegion(Parts parts) : parts_(std::move(parts)) {
  if (parts_.of_file) parts_.of_file->fetch_add(1);
}

SharedRegion::~SharedRegion() {
  // Dropped with holders by an environment that ends: nobody is left to be told.
  if (holders_.load() == 0) return;
  parts_.peer->device().deregister(parts_.region, [] {});
  if (parts_.of_file) parts_.of_file->fetch_sub(1);
}

bool SharedRegion::join() {
  std::uint32_t holders = holders_.load();
  while (holders > 0) {
    if (holders_.compare_exchange_weak(holders, holders + 1)) return true;
  }
  return false;
}

bool SharedRegion::leave(std::function<void()> quiet) {
  if (holders_.fetch_sub(1) != 1) {
    quiet();
    return false;
  }
  parts_.peer->device().deregister(parts_.region,
                                   [self = shared_from_this(), quiet = std::move(quiet)] {
                                     self->finish();
                                     quiet();
                                   });
  return true;
}

void SharedRegion::finish() {
  if (parts_.library_memory) outcome_ = parts_.library_memory->retire();
  if (parts_.of_file) parts_.of_file->fetch_sub(1);
}

}  // namespace rpma::rma
