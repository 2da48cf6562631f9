// SPDX-License-Identifier: BSD-3-Clause
//
// See handle_table.h.

#include "addon/handle_table.h"

#include <algorithm>
#include <utility>

#include "core/counters.h"
#include "core/fault_points.h"

namespace rpma::addon {

namespace {

// A slot whose generations are used up is never given out again: no handle can come back.
constexpr std::uint64_t kGenerationMax = (1ULL << (53 - kHandleIndexBits)) - 1;

}  // namespace

HandleTable::~HandleTable() { clear(); }

Handle HandleTable::insert(std::shared_ptr<Object> object) {
  std::uint32_t index = 0;
  if (RPMA_FAULT_POINT("addon.handle").fail) return 0;
  if (!free_.empty()) {
    index = free_.back();
    free_.pop_back();
  } else {
    if (slots_.size() >= kHandlesMax) return 0;
    index = static_cast<std::uint32_t>(slots_.size());
    slots_.emplace_back();
  }
  Slot& slot = slots_[index];
  slot.generation += 1;
  const Handle handle = (slot.generation << kHandleIndexBits) | index;
  object->handle = handle;
  object->order = ++created_;
  slot.object = std::move(object);
  ready_->attach(handle);
  core::count(core::counters().handles);
  return handle;
}

void HandleTable::erase(Handle handle) {
  Object* object = find_any(handle);
  if (object == nullptr) return;
  const std::uint32_t index = handle_index(handle);
  ready_->detach(handle);
  // The object may be its last owner's and end here, and its end may look at the table.
  const std::shared_ptr<Object> last = std::move(slots_[index].object);
  slots_[index].object.reset();
  if (slots_[index].generation < kGenerationMax) free_.push_back(index);
  core::count(core::counters().handles, -1);
}

Object* HandleTable::find_any(Handle handle) const {
  const std::uint32_t index = handle_index(handle);
  if (handle == 0 || index >= slots_.size()) return nullptr;
  Object* object = slots_[index].object.get();
  return object != nullptr && object->handle == handle ? object : nullptr;
}

PeerObject* HandleTable::find_peer(const rma::Peer& peer) const {
  for (const Slot& slot : slots_) {
    if (!slot.object || slot.object->kind != abi::ObjectKind::Peer) continue;
    auto* found = static_cast<PeerObject*>(slot.object.get());
    if (found->peer.get() == &peer) return found;
  }
  return nullptr;
}

std::vector<std::shared_ptr<Object>> HandleTable::all() const {
  std::vector<std::shared_ptr<Object>> objects;
  for (const Slot& slot : slots_) {
    if (slot.object) objects.push_back(slot.object);
  }
  std::stable_sort(objects.begin(), objects.end(),
                   [](const auto& a, const auto& b) { return a->order < b->order; });
  return objects;
}

void HandleTable::clear() {
  for (const std::shared_ptr<Object>& object : all()) erase(object->handle);
}

}  // namespace rpma::addon
