// SPDX-License-Identifier: BSD-3-Clause
//
// What the socket functions do with addresses that need the system's help. Single-threaded.
#include "provider/iwarp/socket.h"

#include "core/fault_points.h"
#include "test/check.h"

using namespace rpma;

TEST(a_zone_that_the_system_does_not_know_is_no_address) {
  // Whether one can listen there depends on the machine; that it is an address does not.
  CHECK(iwarp::listen_on({.host = "fe80::1%lo", .port = 0}, 1).status().code !=
        abi::Code::InvalidArgValue);
  CHECK(iwarp::listen_on({.host = "fe80::1%1", .port = 0}, 1).status().code !=
        abi::Code::InvalidArgValue);
  CHECK(core::fault::set("iwarp.if-nametoindex", 1, 1, ENODEV));
  CHECK_EQ(iwarp::listen_on({.host = "fe80::1%lo", .port = 0}, 1).status().code,
           abi::Code::InvalidArgValue);
  CHECK_EQ(core::fault::hits("iwarp.if-nametoindex"), 1);
  core::fault::clear_all();
}

CHECK_MAIN()
