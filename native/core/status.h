// SPDX-License-Identifier: BSD-3-Clause
// Status: the outcome of anything that can fail. A value with static strings only, so that it may
// cross threads and be copied without allocation. Its code is one of abi/status.json.
#pragma once

#include <cerrno>

#include "abi.generated.h"

namespace rpma::core {

struct [[nodiscard]] Status {
  abi::Code code = abi::Code::Ok;
  int sys_errno = 0;              // errno of the cause, 0 when there is none
  const char* syscall = nullptr;  // name of the system call that failed, a literal
  const char* detail = nullptr;   // what it means here, a literal

  [[nodiscard]] constexpr bool ok() const { return code == abi::Code::Ok; }

  static constexpr Status success() { return Status{}; }

  static constexpr Status failure(abi::Code code, const char* detail = nullptr) {
    return Status{code, 0, nullptr, detail};
  }

  static constexpr Status from_errno(abi::Code code, int error, const char* syscall,
                                     const char* detail = nullptr) {
    return Status{code, error, syscall, detail};
  }

  // The same with the code that the errno itself suggests: exhausted memory and exhausted limits
  // are told apart from everything else, which is the provider's failure.
  static constexpr Status from_errno(int error, const char* syscall, const char* detail = nullptr) {
    return Status{code_of_errno(error), error, syscall, detail};
  }

  static constexpr abi::Code code_of_errno(int error) {
    switch (error) {
      case ENOMEM:
        return abi::Code::NoMemory;
      case EMFILE:
      case ENFILE:
      case EAGAIN:
        return abi::Code::Limit;
      default:
        return abi::Code::Provider;
    }
  }
};

}  // namespace rpma::core
