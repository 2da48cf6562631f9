// SPDX-License-Identifier: BSD-3-Clause
// Array: room for a number of elements that is chosen at run time and may be large. Unlike a
// vector's, its making can fail: then it has no elements, and its owner answers NoMemory instead of
// ending the process. Where it can fail there is a fault point. One owner, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#include "core/fault_points.h"

namespace rpma::core {

// Null when there is no memory. The elements are initialised to zero or by their constructors.
template <typename T>
std::unique_ptr<T[]> try_make_array(const FaultAction& fault, std::size_t count) {
  if (fault.fail || count > PTRDIFF_MAX / sizeof(T)) return nullptr;
  return std::unique_ptr<T[]>(new (std::nothrow) T[count]());
}

template <typename T>
class Array {
 public:
  Array() = default;
  Array(const FaultAction& fault, std::size_t count)
      : elements_(try_make_array<T>(fault, count)), size_(elements_ ? count : 0) {}

  [[nodiscard]] bool made() const { return elements_ != nullptr; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] T& operator[](std::size_t index) { return elements_[index]; }
  [[nodiscard]] const T& operator[](std::size_t index) const { return elements_[index]; }

 private:
  std::unique_ptr<T[]> elements_;
  std::size_t size_ = 0;
};

}  // namespace rpma::core
