// SPDX-License-Identifier: BSD-3-Clause
// See guarded_copy.h. The handler jumps back into the innermost guard of the faulting thread. The
// guard saves no signal mask, so setting it costs no system call; the handler restores the mask
// of the interrupted code before it jumps.
#include "memory/guarded_copy.h"

#include <pthread.h>
#include <ucontext.h>

#include <atomic>
#include <csetjmp>
#include <csignal>
#include <mutex>

#include "core/assert.h"
#include "core/bytes.h"
#include "core/counters.h"

namespace rpma::memory {

namespace {

struct GuardFrame {
  sigjmp_buf environment;
  GuardFrame* previous;
};

// initial-exec: the handler must not be the first to touch it and make the loader allocate.
[[gnu::tls_model("initial-exec")]] thread_local GuardFrame* volatile innermost_frame = nullptr;

struct sigaction previous_action {};

// A SIGBUS that is not ours goes where it would have gone without us.
void chain(int signal, siginfo_t* info, void* context) {
  if ((previous_action.sa_flags & SA_SIGINFO) != 0 && previous_action.sa_sigaction != nullptr) {
    previous_action.sa_sigaction(signal, info, context);
    return;
  }
  const bool raised_by_kernel = info->si_code > 0;
  if (previous_action.sa_handler == SIG_IGN && !raised_by_kernel) return;
  if (previous_action.sa_handler != SIG_DFL && previous_action.sa_handler != SIG_IGN) {
    previous_action.sa_handler(signal);
    return;
  }
  // Returning repeats the faulting access, which now ends the process as it should.
  static_cast<void>(std::signal(signal, SIG_DFL));
  if (!raised_by_kernel) static_cast<void>(std::raise(signal));
}

// The race detector's atomics hold a lock of its own while they store. A jump out of one would
// leave it locked, so in its builds the fault is provoked by a plain read that it does not watch.
#if defined(__SANITIZE_THREAD__)
#define RPMA_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RPMA_THREAD_SANITIZER 1
#endif
#endif

#if defined(RPMA_THREAD_SANITIZER)
__attribute__((noinline, no_sanitize("thread"))) void touch(const volatile std::uint64_t* word) {
  static_cast<void>(*word);
}
#else
constexpr void touch(const std::uint64_t*) {}
#endif

void on_fault(int signal, siginfo_t* info, void* context) {
  GuardFrame* const frame = innermost_frame;
  // A signal sent by kill() is no fault of the copy, even if it arrives within one.
  if (frame != nullptr && info->si_code > 0) {
    // Whoever stands in front of this handler (a sanitizer, another library) may have blocked
    // more than SA_NODEFER says; left blocked, the next fault would end the process.
    const auto* const interrupted = static_cast<const ucontext_t*>(context);
    static_cast<void>(::pthread_sigmask(SIG_SETMASK, &interrupted->uc_sigmask, nullptr));
    siglongjmp(frame->environment, 1);
  }
  chain(signal, info, context);
}

}  // namespace

void install_fault_guard() {
  static std::once_flag installed;
  std::call_once(installed, [] {
    // Read first, so that the handler never runs without knowing its predecessor.
    RPMA_ASSERT(::sigaction(SIGBUS, nullptr, &previous_action) == 0);
    struct sigaction action {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    RPMA_ASSERT(::sigaction(SIGBUS, &action, nullptr) == 0);
  });
}

bool guarded_call(core::FunctionRef<void()> function) {
  install_fault_guard();
  GuardFrame frame;
  frame.previous = innermost_frame;
  if (sigsetjmp(frame.environment, 0) != 0) {
    innermost_frame = frame.previous;
    core::count(core::counters().guard_hits);
    return false;
  }
  innermost_frame = &frame;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  function();
  std::atomic_signal_fence(std::memory_order_seq_cst);
  innermost_frame = frame.previous;
  return true;
}

bool guarded_copy(void* destination, const void* source, std::size_t length) {
  if (length == 0) return true;
  return guarded_call([&] { std::memcpy(destination, source, length); });
}

bool store_atomic_write(void* destination, const std::uint8_t (&value)[kAtomicWriteBytes],
                        bool guarded) {
  RPMA_ASSERT(core::is_aligned(destination, kAtomicWriteBytes));
  const auto word = core::load_native<std::uint64_t>(value);
  auto* const target = static_cast<std::uint64_t*>(destination);
  const auto store = [target, word] {
    std::atomic_ref<std::uint64_t>(*target).store(word, std::memory_order_release);
  };
  if (!guarded) {
    store();
    return true;
  }
  return guarded_call([&] {
    touch(target);
    store();
  });
}

}  // namespace rpma::memory
