// SPDX-License-Identifier: BSD-3-Clause
// See persist_service.h. One mutex guards the queues; it is never held over a persist or a done.
// A file with waiting flushes stands in ready_ once, unless a thread is running it: that thread
// puts it back when more came meanwhile. What waits is bounded by those who submit: a connection
// has at most its inbound reads outstanding.
#include "memory/persist_service.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "core/counters.h"
#include "core/fault_points.h"
#include "core/thread.h"

namespace rpma::memory {

namespace {

struct Request {
  std::shared_ptr<PersistTarget> target;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  PersistDone done;
};

struct FileQueue {
  std::deque<Request> waiting;
  bool running = false;
};

using Files = std::map<PersistFile*, FileQueue>;

// The oldest request and all others of its mapping; the rest of the file keeps its order.
std::vector<Request> take_batch(FileQueue& queue) {
  std::vector<Request> batch;
  std::deque<Request> rest;
  const std::shared_ptr<PersistTarget> target = queue.waiting.front().target;
  for (Request& request : queue.waiting) {
    if (request.target == target) {
      batch.push_back(std::move(request));
    } else {
      rest.push_back(std::move(request));
    }
  }
  queue.waiting = std::move(rest);
  return batch;
}

core::Status persist_covering_range(const std::vector<Request>& batch) {
  std::uint64_t begin = UINT64_MAX;
  std::uint64_t end = 0;
  for (const Request& request : batch) {
    if (request.length == 0) continue;
    begin = std::min(begin, request.offset);
    end = std::max(end, request.offset + request.length);
  }
  return begin < end ? batch.front().target->persist(begin, end - begin)
                     : batch.front().target->persist(0, 0);
}

void answer(std::vector<Request>& batch, const core::Status& status) {
  for (Request& request : batch) {
    core::count(core::counters().persists_queued, -1);
    request.done(status);
    request.done = nullptr;  // what it holds is let go of before the next one is answered
  }
}

// The one place that honours persist.answer-early: the mutation "answered before it persisted",
// which the durability oracle must notice.
void run_batch(std::vector<Request>& batch) {
  core::count(core::counters().persists_merged, static_cast<std::int64_t>(batch.size()) - 1);
  if (RPMA_FAULT_SWITCH("persist.answer-early")) {
    answer(batch, core::Status::success());
    static_cast<void>(persist_covering_range(batch));
    return;
  }
  answer(batch, persist_covering_range(batch));
}

}  // namespace

struct PersistService::State {
  std::mutex mutex;
  std::condition_variable wake;
  Files files;  // all guarded by mutex
  std::deque<PersistFile*> ready;
  std::vector<core::Thread> threads;
  unsigned threads_max = 0;
  unsigned idle = 0;
  bool stopping = false;

  void work() {
    std::unique_lock lock(mutex);
    for (;;) {
      ++idle;
      wake.wait(lock, [this] { return stopping || !ready.empty(); });
      --idle;
      if (ready.empty()) return;
      run_one_file(lock);
    }
  }

  void run_one_file(std::unique_lock<std::mutex>& lock) {
    PersistFile* const file = ready.front();
    ready.pop_front();
    FileQueue& queue = files[file];
    queue.running = true;
    std::vector<Request> batch = take_batch(queue);
    lock.unlock();
    run_batch(batch);
    lock.lock();
    queue.running = false;
    if (queue.waiting.empty()) {
      files.erase(file);
    } else {
      ready.push_back(file);
      wake.notify_one();
    }
    // The batch keeps the file alive until here, so that no other file can take its address while
    // it stands in the table; letting go of it may run foreign code, hence outside the lock.
    lock.unlock();
    batch.clear();
    lock.lock();
  }
};

std::shared_ptr<PersistService> PersistService::process() {
  struct Shared {
    std::mutex mutex;
    std::weak_ptr<PersistService> service;  // guarded by mutex
  };
  // Never destroyed: a thread may ask for it while the process ends.
  static Shared& shared = *std::make_unique<Shared>().release();
  const std::lock_guard lock(shared.mutex);
  std::shared_ptr<PersistService> service = shared.service.lock();
  if (service == nullptr) {
    service = create();
    shared.service = service;
  }
  return service;
}

std::shared_ptr<PersistService> PersistService::create(unsigned threads) {
  auto state = std::make_shared<State>();
  state->threads_max = std::max(threads, 1U);
  // The constructor is private, which make_shared cannot reach; the base class opens it here only.
  struct Opened : PersistService {
    explicit Opened(std::shared_ptr<State> opened) : PersistService(std::move(opened)) {}
  };
  return std::make_shared<Opened>(std::move(state));
}

PersistService::PersistService(std::shared_ptr<State> state) : state_(std::move(state)) {}

PersistService::~PersistService() {
  std::vector<core::Thread> threads;
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
    threads = std::move(state_->threads);
    state_->wake.notify_all();
  }
  for (core::Thread& thread : threads) {
    if (thread.is_current()) {
      thread.detach();
    } else {
      thread.join();
    }
  }
}

core::Status PersistService::submit(std::shared_ptr<PersistTarget> target, std::uint64_t offset,
                                    std::uint64_t length, PersistDone done) {
  // Checked here, so that one bad range cannot fail the others of its batch.
  if (offset > target->size() || length > target->size() - offset) {
    return core::Status::failure(abi::Code::OutOfRange, "persist outside the mapping");
  }
  State& state = *state_;
  const std::lock_guard lock(state.mutex);
  if (state.idle <= state.ready.size() && state.threads.size() < state.threads_max) {
    core::Result<core::Thread> thread =
        core::Thread::start("rpma-persist", [shared = state_] { shared->work(); });
    if (thread.ok()) {
      state.threads.push_back(std::move(thread).value());
    } else if (state.threads.empty()) {
      return thread.status();
    }
  }
  PersistFile* const file = target->file().get();
  FileQueue& queue = state.files[file];
  if (queue.waiting.empty() && !queue.running) {
    state.ready.push_back(file);
    state.wake.notify_one();
  }
  core::count(core::counters().persists_queued);
  queue.waiting.push_back({std::move(target), offset, length, std::move(done)});
  return core::Status::success();
}

}  // namespace rpma::memory
