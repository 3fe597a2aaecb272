// The storm: workers over one arena, of which one after the other is killed at a random instant, looked after and
// replaced.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "workload.hpp"

namespace kv::crash {

struct StormOptions {
  std::string mode = "treap";
  std::uint64_t kills = 300;
  std::uint64_t seconds = 600;  // ends the storm before all kills are done
  std::uint64_t seed = 1;
  std::uint64_t memory_mb = 64;  // small enough that writers find the store full now and then: 8
  std::uint32_t writers = 2;
  std::uint32_t readers = 2;
  bool attach = false;             // workers are programs of their own that join, not forks
  bool expect_violations = false;  // success is to find one: for the negative controls

  // Of a worker that joins:
  std::string address;
  int worker = -1;
  int scoreboard_fd = -1;
};

class Storm {
 public:
  explicit Storm(const StormOptions& options);
  // The exit code of the program.
  int run();
  // The body of worker `number`: writers first. Does not return.
  [[noreturn]] static void work(const StormOptions& options, Scoreboard& scoreboard, Workload& workload,
                                std::uint32_t number, std::uint64_t seed);
  // The body of a worker that joins by options.address.
  [[noreturn]] static void work_as_guest(const StormOptions& options);

 private:
  [[nodiscard]] std::uint32_t workers() const noexcept { return options_.writers + options_.readers; }
  void start(std::uint32_t number);
  void kill(std::uint32_t number);
  void check();
  void check_at_rest();
  template <class Check>
  void guarded(Check&& check);

  StormOptions options_;
  int scoreboard_fd_;
  Scoreboard& scoreboard_;
  std::unique_ptr<Workload> workload_;
  Random random_;
  std::vector<pid_t> pids_;
  std::uint64_t kills_ = 0;
};

}  // namespace kv::crash
