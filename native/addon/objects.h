// SPDX-License-Identifier: BSD-3-Clause
//
// What handles name: for each kind, the native object and what its environment has to remember of
// it. JavaScript thread only. The native objects are shared with the threads of the library; these
// records are not, so nothing here needs a lock. A child holds its peer.
#pragma once

#include <node_api.h>

#include <atomic>
#include <cstdint>
#include <memory>

#include "abi.generated.h"
#include "addon/epoll_set.h"
#include "addon/ready_list.h"
#include "addon/views.h"
#include "memory/mapping.h"
#include "memory/region_table.h"
#include "provider/provider.h"
#include "rma/connection.h"
#include "rma/peer.h"
#include "rma/readiness.h"
#include "rma/shared_receive_queue.h"
#include "rma/shares.h"

#if defined(RPMA_TEST_FLAVOUR)
#include "memory/persist_oracle.h"
#endif

namespace rpma::addon {

/** Destroyed only through shared_ptrs made of the concrete type. */
struct Object {
  explicit Object(abi::ObjectKind its_kind) : kind(its_kind) {}
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  const abi::ObjectKind kind;
  Handle handle = 0;        // set by the table
  std::uint64_t order = 0;  // of creation, set by the table
};

struct PeerObject : Object {
  static constexpr abi::ObjectKind kKind = abi::ObjectKind::Peer;
  PeerObject() : Object(kKind) {}

  std::shared_ptr<rma::Peer> peer;
  std::shared_ptr<rma::PeerShare> share;  // null once this environment has closed it
};

struct FileObject : Object {
  static constexpr abi::ObjectKind kKind = abi::ObjectKind::File;
  FileObject() : Object(kKind) {}

  bool closing = false;  // unmap was accepted: no call finds it any more
  // Open or not yet quiet, in whichever environment.
  std::shared_ptr<rma::RegionCount> regions = std::make_shared<rma::RegionCount>(0);
  std::uint32_t persists = 0;        // under way
  napi_deferred unmapped = nullptr;  // of the unmap that waits for the persists
  ViewSet views;
#if defined(RPMA_TEST_FLAVOUR)
  std::shared_ptr<memory::PersistOracle> oracle;
#endif
  std::shared_ptr<memory::Mapping> mapping;
};

struct RegionObject : Object {
  static constexpr abi::ObjectKind kKind = abi::ObjectKind::Region;
  RegionObject() : Object(kKind) {}

  bool closing = false;            // revoked: no call finds it any more
  bool is_last = false;            // nobody else had it open: its end was the memory's
  napi_deferred closed = nullptr;  // of regionClose; null when its peer closed it
  napi_ref user_buffer = nullptr;  // holds the user's memory until the region is quiet
  ViewSet views;                   // over viewed
  std::shared_ptr<std::atomic<bool>> quiet = std::make_shared<std::atomic<bool>>(false);
  // What views of this object are over: library memory, or the file of another environment.
  std::shared_ptr<memory::Mapping> viewed;
  std::shared_ptr<FileObject> file;  // of this environment: then the views are the file's
  std::shared_ptr<rma::SharedRegion> shared;
  std::shared_ptr<memory::Region> region;  // shared's
  std::shared_ptr<PeerObject> peer;
};

struct ReadinessObject : Object {
  static constexpr abi::ObjectKind kKind = abi::ObjectKind::Readiness;
  ReadinessObject() : Object(kKind) {}
  // The notifications of an object that lives on may hold the readiness: the descriptor ends here.
  ~ReadinessObject() { readiness->close(); }

  std::shared_ptr<rma::Readiness> readiness;
};

struct EpollObject : Object {
  static constexpr abi::ObjectKind kKind = abi::ObjectKind::Epoll;
  explicit EpollObject(int fd) : Object(kKind), set(fd) {}

  EpollSet set;
};

struct EndpointObject : Object {
  static constexpr abi::ObjectKind kKind = abi::ObjectKind::Endpoint;
  EndpointObject() : Object(kKind) {}

  std::shared_ptr<provider::Listener> listener;
  std::shared_ptr<PeerObject> peer;
};

struct QueueObject : Object {
  static constexpr abi::ObjectKind kKind = abi::ObjectKind::Queue;
  QueueObject() : Object(kKind) {}

  std::uint32_t empty_polls = 0;  // in a row since the queue was armed: a consumer that spins
  bool is_private = false;        // of one connection: readable after it, and after its peer
  bool is_alone = false;          // the readiness tells of this queue only: a poll rearms it
  std::shared_ptr<rma::Readiness> readiness;  // null until somebody asked for a descriptor
  std::shared_ptr<provider::CompletionQueue> queue;
  std::shared_ptr<PeerObject> peer;
};

struct SharedReceiveQueueObject : Object {
  static constexpr abi::ObjectKind kKind = abi::ObjectKind::SharedReceiveQueue;
  SharedReceiveQueueObject() : Object(kKind) {}

  Handle completion_queue = 0;  // 0: it has none of its own
  std::shared_ptr<rma::SharedReceiveQueue> queue;
  std::shared_ptr<PeerObject> peer;
};

struct ConnectionObject : Object {
  static constexpr abi::ObjectKind kKind = abi::ObjectKind::Connection;
  ConnectionObject() : Object(kKind) {}

  std::uint32_t number = 0;  // of its queue pair
  bool unkicked = false;     // posted operations wait for Environment::kick_deferred
  std::uint32_t unkicked_count = 0;
  std::uint64_t unkicked_bytes = 0;
  Handle completion_queue = 0;
  Handle receive_queue = 0;
  std::shared_ptr<rma::Connection> connection;
  std::shared_ptr<PeerObject> peer;
};

}  // namespace rpma::addon
