// SPDX-License-Identifier: BSD-3-Clause
// Copies that survive a truncated file. Touching a page of a file mapping that no longer has a
// file behind it raises SIGBUS; a guard turns that into false, on the thread that copied. The
// caller then ends the connection and poisons the region. Any thread; nothing is shared.
// A faulted copy may have moved a part of the bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/function_ref.h"

namespace rpma::memory {

// Runs the function; false when it was cut short by SIGBUS. It must hold no lock, own nothing and
// call nothing but plain reads and writes of memory (copy, checksum), because it is left by a
// jump. May be nested; the innermost guard takes the fault.
[[nodiscard]] bool guarded_call(core::FunctionRef<void()> function);

[[nodiscard]] bool guarded_copy(void* destination, const void* source, std::size_t length);

// The copy for memory that may or may not be a file's: costs a memcpy when it is not.
[[nodiscard]] inline bool copy_bytes(void* destination, const void* source, std::size_t length,
                                     bool guarded) {
  if (guarded) return guarded_copy(destination, source, length);
  if (length != 0) std::memcpy(destination, source, length);
  return true;
}

inline constexpr std::size_t kAtomicWriteBytes = 8;

// Stores the 8 bytes at once and after everything stored before (release): a reader, or a power
// loss, finds the old or the new ones and never a mixture. The destination is a multiple of 8.
[[nodiscard]] bool store_atomic_write(void* destination,
                                      const std::uint8_t (&value)[kAtomicWriteBytes], bool guarded);

// Installs the process's handler now rather than at the first guarded call. It chains to the
// handler it found for every SIGBUS that is not a guard's.
void install_fault_guard();

}  // namespace rpma::memory
