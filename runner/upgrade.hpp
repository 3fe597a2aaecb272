// Host upgrade: this process becomes another runner (execve), and everything stays: its process number, the store's
// memory, the listening sockets, the workers, which are its children still.
//
// 1. The new executable is asked whether it can take over (--check_upgrade): it joins the store, which it refuses if it
//    lays out memory in another way, and reads the configuration. If it cannot, nothing has happened.
// 2. What must stay open is no longer closed on exec; what it is stands in a small file in memory.
// 3. The new one reads that (take_handover) and replaces the workers one by one.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kv_storage/store.hpp"
#include "listen.hpp"
#include "notify.hpp"
#include "worker_pool.hpp"

namespace runner {

struct Handover {
  std::shared_ptr<kv::Store> store;
  std::vector<Listener> listeners;
  int notify_fd = -1;
  std::vector<Worker> workers;
};

// What an earlier runner has left to this process; none if it was started anew. Throws Failure{kSystem}.
[[nodiscard]] std::optional<Handover> take_handover();

// Whether a supervisor that is becoming this process has left something to take over.
[[nodiscard]] bool has_handover() noexcept;

// --check_upgrade: whether this executable could take over. Throws Failure if not.
void check_upgrade(const std::string& configuration);

class Upgrade {
 public:
  explicit Upgrade(const std::vector<std::string>& arguments);  // of main

  void begin_check();                        // throws Failure{kSystem}
  [[nodiscard]] bool end_check(int status);  // of the checker; says why if it has refused
  [[nodiscard]] pid_t checker() const noexcept { return checker_; }

  // Returns only if it fails: why, and everything is as before. A data directory's store is nobody's between the two
  // programs unless a worker has it, so that one which serves is needed.
  [[nodiscard]] std::string replace_this_process(const std::vector<Listener>& listeners, const NotifySocket& notify,
                                                 const std::vector<Worker>& workers) const;

 private:
  std::string executable_;              // where the runner was found at the start: links are followed anew
  std::vector<std::string> arguments_;  // all of them
  pid_t checker_ = 0;
};

}  // namespace runner
