// SPDX-License-Identifier: BSD-3-Clause
// The test harness of the Node-free tests: TEST(name) { CHECK(...); } and CHECK_MAIN() at the end
// of the file. Output: 'ok name' or 'not ok name' a test, then 'N passed, N failed'; the exit
// status is 1 when a test failed or none ran. A test without a single check fails. An argument
// runs only the tests whose name contains it. CHECKs may be made on any thread.
#pragma once

#include <ftw.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ostream>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace rpma::test {

struct TestCase {
  const char* name;
  void (*body)();
};

struct Session {
  std::vector<TestCase> cases;
  std::atomic<std::uint64_t> checks{0};
  std::atomic<std::uint64_t> failures{0};
};

inline Session& session() {
  static Session instance;
  return instance;
}

struct Registration {
  Registration(const char* name, void (*body)()) { session().cases.push_back({name, body}); }
};

inline bool report(bool passed, const char* file, int line, const std::string& text) {
  session().checks.fetch_add(1, std::memory_order_relaxed);
  if (!passed) {
    session().failures.fetch_add(1, std::memory_order_relaxed);
    std::printf("# %s:%d: %s\n", file, line, text.c_str());
  }
  return passed;
}

template <typename T>
concept Printable = requires(std::ostream& stream, const T& value) { stream << value; };

template <typename T>
std::string show(const T& value) {
  std::ostringstream stream;
  if constexpr (std::is_enum_v<T>) {
    stream << static_cast<std::int64_t>(value);
  } else if constexpr (sizeof(T) == 1 && std::is_integral_v<T>) {
    stream << static_cast<int>(value);
  } else if constexpr (Printable<T>) {
    stream << value;
  } else {
    stream << "(not printable)";
  }
  return stream.str();
}

template <typename A, typename B>
bool report_equal(const A& actual, const B& expected, const char* file, int line,
                  const char* text) {
  bool equal = false;
  if constexpr (std::is_integral_v<A> && std::is_integral_v<B> && !std::is_same_v<A, bool> &&
                !std::is_same_v<B, bool> && !std::is_same_v<A, char> && !std::is_same_v<B, char>) {
    equal = std::cmp_equal(actual, expected);
  } else {
    equal = actual == expected;
  }
  if (equal) return report(true, file, line, {});
  return report(false, file, line,
                std::string(text) + ": got " + show(actual) + ", expected " + show(expected));
}

// Waits for another thread's effect with a deadline; the condition, not the time, ends it.
template <typename Condition>
bool wait_until(Condition condition, unsigned timeout_ms = 10'000) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  return true;
}

// A directory of its own, removed with all that is in it.
class TemporaryDirectory {
 public:
  explicit TemporaryDirectory(const char* parent = nullptr) {
    const char* fallback = std::getenv("TMPDIR");
    if (parent == nullptr) parent = fallback != nullptr ? fallback : P_tmpdir;
    path_ = std::string(parent) + "/rpma-test-XXXXXX";
    if (::mkdtemp(path_.data()) == nullptr) path_.clear();
  }
  ~TemporaryDirectory() {
    if (path_.empty()) return;
    const auto remove_entry = [](const char* path, const struct stat*, int, struct FTW*) {
      return std::remove(path);
    };
    static_cast<void>(::nftw(path_.c_str(), remove_entry, 16, FTW_DEPTH | FTW_PHYS));
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  [[nodiscard]] bool ok() const { return !path_.empty(); }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string file(const char* name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline int run_tests(int argc, char** argv) {
  const std::string_view pattern = argc > 1 ? argv[1] : "";
  int passed = 0;
  int failed = 0;
  static_cast<void>(std::setvbuf(stdout, nullptr, _IOLBF, 0));
  for (const TestCase& test : session().cases) {
    if (std::string_view(test.name).find(pattern) == std::string_view::npos) continue;
    session().checks = 0;
    session().failures = 0;
    test.body();
    const bool empty = session().checks == 0;
    if (empty) std::printf("# %s made no check\n", test.name);
    const bool good = !empty && session().failures == 0;
    std::printf("%s %s\n", good ? "ok" : "not ok", test.name);
    ++(good ? passed : failed);
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}

}  // namespace rpma::test

#define TEST(name)                                                                           \
  static void rpma_test_##name();                                                            \
  static const ::rpma::test::Registration rpma_registration_##name(#name, rpma_test_##name); \
  static void rpma_test_##name()

#define CHECK(condition) \
  (::rpma::test::report(static_cast<bool>(condition), __FILE__, __LINE__, #condition))

// Actual value first, expected value second.
#define CHECK_EQ(actual, expected) \
  (::rpma::test::report_equal((actual), (expected), __FILE__, __LINE__, #actual " == " #expected))

// As CHECK, and leaves the test when it fails: for what later lines stand on.
#define REQUIRE(condition)         \
  do {                             \
    if (!CHECK(condition)) return; \
  } while (false)

#define CHECK_MAIN() \
  int main(int argc, char** argv) { return ::rpma::test::run_tests(argc, argv); }
