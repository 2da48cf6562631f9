// SPDX-License-Identifier: BSD-3-Clause
//
// See fault_run.h. The report is written by an exit handler, after Node has ended its environments
// or, after process.exit(), has not; a process that is killed leaves none.

#include "addon/fault_run.h"

#if defined(RPMA_TEST_FLAVOUR)

#include <cstdlib>
#include <fstream>
#include <string>

#include "core/counters.h"
#include "core/fault_points.h"

namespace rpma::addon {

namespace {

/** Members of a JSON object; names need no escapes. */
class Members {
 public:
  void add(const std::string& name, const std::string& value) {
    text_ += (text_.empty() ? "\"" : ",\"") + name + "\":" + value;
  }
  [[nodiscard]] std::string object() const { return "{" + text_ + "}"; }

 private:
  std::string text_;
};

void report() {
  const char* const file = std::getenv("RPMA_FAULT_REPORT");
  if (file == nullptr) return;
  Members hits;
  for (const std::string& name : core::fault::names()) {
    hits.add(name, std::to_string(core::fault::hits(name)));
  }
  Members live;
  core::for_each_counter([&live](const char* name, bool is_live, std::int64_t value) {
    if (is_live && value != 0) live.add(name, std::to_string(value));
  });
  Members tallies;
  for (const std::string& name : core::fault::tally_names()) {
    tallies.add(name, std::to_string(core::fault::tally(name)));
  }
  Members all;
  all.add("hits", hits.object());
  all.add("live", live.object());
  all.add("tallies", tallies.object());
  std::ofstream(file) << all.object() << '\n';
}

bool begin() {
  if (std::getenv("RPMA_FAULT_REPORT") != nullptr) static_cast<void>(std::atexit(report));
  const char* const plan = std::getenv("RPMA_FAULT");
  return plan == nullptr || *plan == '\0' || core::fault::set(plan);
}

}  // namespace

bool begin_fault_run() {
  static const bool begun = begin();
  return begun;
}

}  // namespace rpma::addon

#endif
