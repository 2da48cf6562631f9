// SPDX-License-Identifier: BSD-3-Clause
//
// See environment.h. This file: the end of regions, files and peers, which comes when nothing uses
// the memory any more, and the end of the environment. Nothing here may wait for another thread
// except a peer's close, which joins its own.

#include <utility>

#include "addon/arguments.h"
#include "addon/environment.h"
#include "core/log.h"

namespace rpma::addon {

void Environment::close_region(RegionObject* region, napi_deferred deferred) {
  region->closing = true;
  region->closed = deferred;
  // An environment that ends detaches every view by itself, and allows no new JavaScript handles.
  if (!ending_) region->views.detach_all(env_);
  if (deferred != nullptr) promise_opened();
  const std::shared_ptr<std::atomic<bool>> quiet = region->quiet;
  const std::shared_ptr<ReadyList> ready = ready_;
  const Handle handle = region->handle;
  region->is_last = region->shared->leave([quiet, ready, handle] {
    quiet->store(true, std::memory_order_release);
    ready->notify(handle);
  });
  // Mostly nothing uses it: then its end needs no wake-up, and the notification finds nobody.
  if (quiet->load(std::memory_order_acquire)) finish_region(region);
}

void Environment::finish_region(RegionObject* region) {
  if (region->user_buffer != nullptr) {
    napi_delete_reference(env_, region->user_buffer);
    region->user_buffer = nullptr;
  }
  // Of another one's outcome nothing may be read: its thread may be writing it now.
  const core::Status status = region->is_last ? region->shared->outcome() : core::Status::success();
  if (region->closed != nullptr) {
    if (!ending_) {
      if (status.ok()) {
        resolve_number(env_, region->closed, 0);
      } else {
        resolve_error(env_, region->closed, status);
      }
    }
    promise_settled();
  }
  handles_->erase(region->handle);
}

void Environment::unmap_file(FileObject* file, napi_deferred deferred) {
  file->closing = true;
  file->unmapped = deferred;
  file->views.detach_all(env_);
  promise_opened();
  if (file->persists == 0) finish_unmap(file);
}

void Environment::persist_ended(const std::shared_ptr<FileObject>& file) {
  file->persists -= 1;
  if (file->closing && file->persists == 0 && !ending_) finish_unmap(file.get());
}

void Environment::finish_unmap(FileObject* file) {
  const core::Status status = file->mapping->retire();
  if (status.ok()) {
    resolve_number(env_, file->unmapped, 0);
  } else {
    resolve_error(env_, file->unmapped, status);
  }
  promise_settled();
  handles_->erase(file->handle);
}

namespace {

/** The peer that the object was made from, or null. */
const PeerObject* peer_of(const Object& object) {
  switch (object.kind) {
    case abi::ObjectKind::Region:
      return static_cast<const RegionObject&>(object).peer.get();
    case abi::ObjectKind::Endpoint:
      return static_cast<const EndpointObject&>(object).peer.get();
    case abi::ObjectKind::Connection:
      return static_cast<const ConnectionObject&>(object).peer.get();
    case abi::ObjectKind::Queue:
      return static_cast<const QueueObject&>(object).peer.get();
    case abi::ObjectKind::SharedReceiveQueue:
      return static_cast<const SharedReceiveQueueObject&>(object).peer.get();
    case abi::ObjectKind::None:
    case abi::ObjectKind::Peer:
    case abi::ObjectKind::File:
    case abi::ObjectKind::Readiness:
    case abi::ObjectKind::Epoll:
      break;
  }
  return nullptr;
}

/** Ends what reaches the network; its handle stays. */
void stop(Object& object) {
  if (object.kind == abi::ObjectKind::Endpoint) {
    static_cast<EndpointObject&>(object).listener->close();
  }
  if (object.kind == abi::ObjectKind::Connection) {
    static_cast<ConnectionObject&>(object).connection->queue_pair().abort(
        core::Status::failure(abi::Code::Closed, "its peer was closed"));
  }
  if (object.kind == abi::ObjectKind::SharedReceiveQueue) {
    static_cast<SharedReceiveQueueObject&>(object).queue->queue()->destroy();
  }
}

}  // namespace

void Environment::close_peer(PeerObject* peer) {
  const std::shared_ptr<PeerObject> keep = handles_->share(peer);
  const std::vector<std::shared_ptr<Object>> objects = handles_->all();
  // Newest first, and everything that reaches the network before any memory.
  for (auto object = objects.rbegin(); object != objects.rend(); ++object) {
    if (peer_of(**object) == peer) stop(**object);
  }
  for (auto object = objects.rbegin(); object != objects.rend(); ++object) {
    if (peer_of(**object) != peer || (*object)->kind != abi::ObjectKind::Region) continue;
    auto* region = static_cast<RegionObject*>(object->get());
    if (!region->closing) close_region(region, nullptr);
  }
  // The last share closes the native peer. Else others have it open, and it goes on.
  keep->share.reset();
  for (auto object = objects.rbegin(); object != objects.rend(); ++object) {
    if (peer_of(**object) != peer || (*object)->kind == abi::ObjectKind::Region) continue;
    if ((*object)->kind == abi::ObjectKind::Connection) {
      remove_connection(static_cast<ConnectionObject*>(object->get()));
    }
    if ((*object)->kind == abi::ObjectKind::Queue) {
      auto* queue = static_cast<QueueObject*>(object->get());
      // The outcomes in it are the program's until it read them; JavaScript gives the handle back.
      if (queue->is_private && !queue->queue->drained() && !ending_) {
        queue->peer.reset();
        continue;
      }
    }
    handles_->erase((*object)->handle);
  }
  handles_->erase(keep->handle);
}

void Environment::on_clean_up(napi_async_cleanup_hook_handle, void* data) {
  static_cast<Environment*>(data)->end();
}

void Environment::end() {
  ending_ = true;
  // What it has not read by now is the next reader's.
  core::log_remove_reader(ready_.get());
  // Node runs the loop until the hook is removed; without a reference it would not even poll.
  if (wake_up_) wake_up_->set_referenced(true);
  if (handles_) {
    tasks_->close();
    close_everything();
  }
  end_when_quiet();
}

void Environment::close_everything() {
  for (const std::shared_ptr<Object>& object : handles_->all()) {
    if (object->kind == abi::ObjectKind::Peer) close_peer(static_cast<PeerObject*>(object.get()));
  }
  // Released one by one: a slot that stayed queued would swallow what its next owner is told.
  while (pending_at_ < pending_.size()) ReadyList::release(pending_[pending_at_++]);
  pending_.clear();
  pending_at_ = 0;
  for (const std::shared_ptr<Object>& object : handles_->all()) {
    if (object->kind != abi::ObjectKind::Region) {
      handles_->erase(object->handle);
      continue;
    }
    // Memory of the library outlives the environment by itself: regions and views share it. Memory
    // of the program's is given back by the engine soon after this hook: wait until it is quiet.
    const auto* region = static_cast<const RegionObject*>(object.get());
    if (region->user_buffer == nullptr) {
      handles_->erase(object->handle);
      continue;
    }
    // A connection of another environment may use it, and its other side need not read.
    if (!region->quiet->load(std::memory_order_acquire)) {
      region->peer->peer->device().evict(region->region);
    }
  }
}

void Environment::end_when_quiet() {
  if (handles_) {
    for (const std::shared_ptr<Object>& object : handles_->all()) {
      auto* region = static_cast<RegionObject*>(object.get());  // nothing else is left
      if (!region->quiet->load(std::memory_order_acquire)) return;
      finish_region(region);
    }
  }
  const auto last_act = [this] {
    if (context_ != nullptr) napi_async_destroy(env_, std::exchange(context_, nullptr));
    // The environment may be deleted from here on.
    napi_remove_async_cleanup_hook(std::exchange(hook_, nullptr));
  };
  if (!wake_up_) {
    last_act();
    return;
  }
  const std::unique_ptr<WakeUp> wake_up = std::move(wake_up_);
  wake_up->close(last_act);
}

}  // namespace rpma::addon
