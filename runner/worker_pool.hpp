// The workers: which there should be, which there are, and the steps from the one to the other.
//
// A slot is the place of one worker. It holds one process, or two while it is being replaced:
//
//   start -> kStarting --READY=1, or ready_timeout--> kReady --retired--> kStopping --exit--> gone
//                                                                            `- stop_timeout: SIGKILL
//
// replace_all() begins a new generation. Slot by slot, a new worker is started beside the old one, and only when it
// serves is the old one asked to stop. A new worker that ends before it serves stops the replacing: the old ones go on.
//
// A worker that ends by itself is started again after a back-off. If none serves and one slot has failed kMaxFailures
// times running, the pool gives up.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <vector>

#include "config.hpp"

namespace runner {

using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;

enum class WorkerState { kStarting, kReady, kStopping };

struct Worker {
  unsigned slot = 0;  // from 0; its number in logs is one more
  pid_t pid = 0;
  unsigned generation = 0;
  WorkerState state = WorkerState::kStarting;
  Time started;
  Time deadline;  // kStarting: taken as ready then. kStopping: killed then
};

class WorkerPool {
 public:
  // Starts the worker of a slot; may throw Failure.
  using Start = std::function<pid_t(unsigned slot)>;

  WorkerPool(Start start, const WorkerOptions& options) : start_(std::move(start)), options_(options) {}

  // Of another count, time or the like; takes effect with the next tick().
  void set_options(const WorkerOptions& options) { options_ = options; }

  void replace_all();                   // a rolling replacement, from the next tick() on
  void stop();                          // asks all to stop; starts no more
  void kill_all() noexcept;             // with their process groups
  void adopt(Worker worker);            // a child that an earlier runner of this process has started
  void tick();                          // does what is due
  void on_ready(pid_t sender);          // the worker, or a process of its group, serves
  bool on_exit(pid_t pid, int status);  // false = no worker of ours

  [[nodiscard]] std::optional<Time> next_deadline() const;  // when tick() has something to do
  [[nodiscard]] const std::vector<Worker>& workers() const noexcept { return workers_; }
  [[nodiscard]] bool owns(pid_t pid) const;
  [[nodiscard]] unsigned serving() const;
  [[nodiscard]] bool is_replacing() const noexcept { return replacing_; }
  [[nodiscard]] bool is_complete() const;  // every slot has a worker that serves
  [[nodiscard]] bool has_given_up() const noexcept { return given_up_; }
  void log_status() const;

 private:
  struct Slot {
    unsigned failures = 0;  // running
    Time restart_at;        // not before
  };

  Worker* find(unsigned slot, bool current);
  void reconcile();
  void start(unsigned slot);
  void retire(Worker& worker);
  void set_ready(Worker& worker, const char* how);
  void fail(unsigned slot, bool was_ready, Clock::duration lived, const std::string& what, pid_t pid);
  void abandon_replacement();
  [[nodiscard]] bool has_sibling(const Worker& worker) const;

  Start start_;
  WorkerOptions options_;
  std::vector<Worker> workers_;
  std::vector<Slot> slots_;
  unsigned generation_ = 1;
  bool replacing_ = false;
  bool stopping_ = false;
  bool given_up_ = false;
};

}  // namespace runner
