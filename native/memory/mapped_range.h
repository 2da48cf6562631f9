// SPDX-License-Identifier: BSD-3-Clause
// MappedRange: addresses that mmap gave, given back by the last holder (a mapping, or a persist
// target whose flush still runs). Any thread.
#pragma once

#include <cstddef>
#include <memory>

#include "core/counters.h"
#include "core/result.h"

namespace rpma::memory {

class MappedRange {
 public:
  // mmap with the arguments given; the length is what munmap gets, too.
  static core::Result<std::shared_ptr<MappedRange>> map(std::size_t length, int protection,
                                                        int flags, int descriptor = -1,
                                                        long offset = 0);

  MappedRange(std::byte* base, std::size_t length) : base_(base), length_(length) {}
  ~MappedRange();
  MappedRange(const MappedRange&) = delete;
  MappedRange& operator=(const MappedRange&) = delete;

  [[nodiscard]] std::byte* base() const { return base_; }
  [[nodiscard]] std::size_t length() const { return length_; }

  // Puts zeroed anonymous pages in the place of what is mapped, at once and for every thread.
  core::Status cover_with_zeros();
  // Asks for huge pages; being refused is no failure.
  void advise_huge_pages();

 private:
  std::byte* const base_;
  const std::size_t length_;
  core::LiveCount live_{core::counters().mapped_ranges};
};

}  // namespace rpma::memory
