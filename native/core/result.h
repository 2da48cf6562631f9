// SPDX-License-Identifier: BSD-3-Clause
// Result<T>: either a T or the Status that says why there is none. Move-only types are welcome.
// Reading the value of a failed result is a defect and aborts.
#pragma once

#include <concepts>
#include <optional>
#include <type_traits>
#include <utility>

#include "core/assert.h"
#include "core/status.h"

namespace rpma::core {

template <typename T>
class [[nodiscard]] Result {
 public:
  // Implicit on purpose: functions return a value or a status, whichever they have.
  template <typename U = T>
    requires(std::convertible_to<U, T> && !std::same_as<std::remove_cvref_t<U>, Status> &&
             !std::same_as<std::remove_cvref_t<U>, Result>)
  Result(U&& value) : value_(std::forward<U>(value)) {}

  Result(Status status) : status_(status) { RPMA_ASSERT(!status.ok()); }

  [[nodiscard]] bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }

  T value() && {
    RPMA_ASSERT(value_.has_value());
    return std::move(*value_);
  }
  T& value() & { return **this; }
  const T& value() const& { return **this; }

  T& operator*() & {
    RPMA_ASSERT(value_.has_value());
    return *value_;
  }
  const T& operator*() const& {
    RPMA_ASSERT(value_.has_value());
    return *value_;
  }
  T* operator->() { return &**this; }
  const T* operator->() const { return &**this; }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace rpma::core
