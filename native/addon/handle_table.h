// SPDX-License-Identifier: BSD-3-Clause
//
// The handles of one environment and what they name; its JavaScript thread alone uses it. A handle
// carries its slot's generation, so a stale, foreign or invented number is refused, never followed;
// a look-up also says which kind it wants. The table shares the ownership of what it names.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "addon/objects.h"
#include "addon/ready_list.h"

namespace rpma::addon {

class HandleTable {
 public:
  explicit HandleTable(std::shared_ptr<ReadyList> ready) : ready_(std::move(ready)) {}
  ~HandleTable();
  HandleTable(const HandleTable&) = delete;
  HandleTable& operator=(const HandleTable&) = delete;

  /** Names the object and stores the handle in it; 0 when every handle is taken. */
  Handle insert(std::shared_ptr<Object> object);
  void erase(Handle handle);

  /** What the number from JavaScript names, or null. */
  Object* find(double number, abi::ObjectKind kind) const {
    // NaN fails the first comparison.
    if (!(number >= 1.0 && number < 9007199254740992.0)) return nullptr;
    return find(static_cast<Handle>(number), kind);
  }
  Object* find(Handle handle, abi::ObjectKind kind) const {
    const std::uint32_t index = handle_index(handle);
    if (index >= slots_.size()) return nullptr;
    Object* object = slots_[index].object.get();
    if (object == nullptr || object->handle != handle || object->kind != kind) return nullptr;
    return object;
  }
  template <typename T>
  T* find(double number) const {
    return static_cast<T*>(find(number, T::kKind));
  }
  /** Shares the ownership as well; for what outlives the call. */
  template <typename T>
  std::shared_ptr<T> share(const T* object) const {
    return std::static_pointer_cast<T>(slots_[handle_index(object->handle)].object);
  }
  /** Whether so many more handles can be given out. */
  bool has_room(std::size_t count) const {
    return free_.size() + (kHandlesMax - slots_.size()) >= count;
  }
  /** This environment's handle of a native peer, or null. */
  PeerObject* find_peer(const rma::Peer& peer) const;
  /** Whatever has this handle. */
  Object* find_any(Handle handle) const;

  /** A snapshot in the order of creation, so that a visitor may erase. */
  std::vector<std::shared_ptr<Object>> all() const;
  void clear();

 private:
  struct Slot {
    std::shared_ptr<Object> object;
    std::uint64_t generation = 0;
  };

  std::shared_ptr<ReadyList> ready_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  std::uint64_t created_ = 0;
};

}  // namespace rpma::addon
