// SPDX-License-Identifier: BSD-3-Clause
// The persist threads: they run what blocks in the disk, so that no progress or JavaScript thread
// does. Flushes that wait for one mapping of a file become one call over their covering range;
// those that arrive while a call runs wait for the next one; different files run in parallel.
// Everything submitted is answered exactly once, on a persist thread, also at shutdown.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "core/status.h"
#include "memory/persist.h"

namespace rpma::memory {

using PersistDone = std::function<void(core::Status)>;

class PersistService {
 public:
  static constexpr unsigned kDefaultThreads = 2;

  // The service of the process: shared by all who hold it, gone when the last lets go of it.
  static std::shared_ptr<PersistService> process();
  static std::shared_ptr<PersistService> create(unsigned threads = kDefaultThreads);

  // Answers what is queued, then joins the threads. When the last holder lets go on a persist
  // thread (in a done), that thread finishes by itself.
  ~PersistService();
  PersistService(const PersistService&) = delete;
  PersistService& operator=(const PersistService&) = delete;

  // Queues a persist of any kind of target. On success done is called exactly once, with no lock
  // held, and should be short; on failure (no thread could be started) it never is.
  core::Status submit(std::shared_ptr<PersistTarget> target, std::uint64_t offset,
                      std::uint64_t length, PersistDone done);

 private:
  struct State;
  explicit PersistService(std::shared_ptr<State> state);

  std::shared_ptr<State> state_;  // shared with the threads
};

}  // namespace rpma::memory
