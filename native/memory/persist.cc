// SPDX-License-Identifier: BSD-3-Clause
// See persist.h. The locks here are held over a persist only in their shared form; none is held
// while another is taken except retire_mutex_ before PersistFile's.
#include "memory/persist.h"

#include <algorithm>
#include <cinttypes>
#include <map>
#include <utility>

#include "core/assert.h"
#include "core/bytes.h"
#include "core/fault_points.h"
#include "core/log.h"

namespace rpma::memory {

namespace {

struct FileRegistry {
  std::mutex mutex;
  std::map<FileIdentity, std::weak_ptr<PersistFile>> files;
};

FileRegistry& file_registry() {
  // Never destroyed: a thread may map a file while the process ends.
  static FileRegistry& registry = *std::make_unique<FileRegistry>().release();
  return registry;
}

}  // namespace

std::shared_ptr<PersistFile> PersistFile::open(const FileIdentity& identity) {
  FileRegistry& registry = file_registry();
  const std::lock_guard lock(registry.mutex);
  // Entries of files that nothing maps any more go here, so the table stays as small as its use.
  std::erase_if(registry.files, [](const auto& entry) { return entry.second.expired(); });
  std::weak_ptr<PersistFile>& known = registry.files[identity];
  std::shared_ptr<PersistFile> file = known.lock();
  if (file == nullptr || file->failed()) {
    file = std::make_shared<PersistFile>(identity);
    known = file;
  }
  return file;
}

core::Status PersistFile::failure() const {
  if (!failed()) return core::Status::success();
  const std::lock_guard lock(mutex_);
  return failure_;
}

void PersistFile::fail(const core::Status& status) {
  RPMA_ASSERT(!status.ok());
  const std::lock_guard lock(mutex_);
  if (failed_.load(std::memory_order_relaxed)) return;
  failure_ = status;
  failed_.store(true, std::memory_order_release);
}

PersistTarget::PersistTarget(Parts parts) : parts_(std::move(parts)) {
  RPMA_ASSERT(parts_.file != nullptr && core::is_power_of_two(parts_.page_bytes));
  RPMA_ASSERT(parts_.function != nullptr || parts_.kind == abi::PmemDurability::Memory);
}

abi::Durability PersistTarget::durability() const {
  return parts_.kind == abi::PmemDurability::Memory ? abi::Durability::Volatile
                                                    : abi::Durability::Persisted;
}

core::Status PersistTarget::persist(std::uint64_t offset, std::uint64_t length) {
  if (offset > parts_.size || length > parts_.size - offset) {
    return core::Status::failure(abi::Code::OutOfRange, "persist outside the mapping");
  }
  const std::shared_lock lock(retire_mutex_);
  if (retired_) return core::Status::failure(abi::Code::Closed, "the mapping is unmapped");
  if (parts_.file->failed()) return parts_.file->failure();
  if (length == 0) return core::Status::success();
  const core::Status status = run(offset, length);
  if (!status.ok()) {
    core::count(core::counters().persist_failures);
    RPMA_LOG(Error,
             "%" PRIu64 " bytes at %" PRIu64
             " of a file were not persisted: %s; every later "
             "persistent flush of it fails until it is mapped anew",
             length, offset, core::StatusText(status).text());
    parts_.file->fail(status);
  }
  return status;
}

// The one place that persists, and the one that honours persist.skip: the mutation "the persist
// call is missing", which the durability oracle must notice.
core::Status PersistTarget::run(std::uint64_t offset, std::uint64_t length) {
  if (parts_.function == nullptr) return core::Status::success();
  std::uint64_t begin = offset;
  std::uint64_t end = offset + length;
  core::FaultAction fault;
  if (parts_.kind == abi::PmemDurability::Storage) {
    begin = core::align_down(begin, parts_.page_bytes);
    end = std::min<std::uint64_t>(core::align_up(end, parts_.page_bytes), parts_.size);
    fault = RPMA_FAULT_POINT("memory.msync");
  } else {
    fault = RPMA_FAULT_POINT("memory.pmem-persist");
  }
  core::apply_delay(fault);
  if (fault.fail) {
    return core::Status::from_errno(abi::Code::Provider, fault.err, "msync", "persist failed");
  }
  if (RPMA_FAULT_SWITCH("persist.skip")) return core::Status::success();
  core::count(core::counters().persist_calls);
  return parts_.function(parts_.base + begin, end - begin);
}

void PersistTarget::retire() {
  const std::unique_lock lock(retire_mutex_);
  retired_ = true;
}

core::Status PersistSlices::step() {
  const std::uint64_t length = std::min(left_, abi::kPersistSliceBytes);
  const core::Status status = target_->persist(offset_, length);
  offset_ += length;
  left_ = status.ok() ? left_ - length : 0;
  return status;
}

}  // namespace rpma::memory
