#include "worker_pool.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "concat.hpp"
#include "failure.hpp"
#include "log.hpp"

namespace runner {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr unsigned kMaxFailures = 5;        // running, before the pool gives up: some two seconds of trying
constexpr milliseconds kFirstBackOff{100};  // doubles with every failure
constexpr milliseconds kLongestBackOff{30'000};
constexpr seconds kStable{10};  // a worker that lived so long did not fail because of how it starts

std::string seconds_text(Clock::duration time) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f s", std::chrono::duration<double>(time).count());
  return text;
}

milliseconds back_off(unsigned failures) {
  const unsigned doublings = std::min(failures - 1, 10U);
  return std::min(kFirstBackOff * (1U << doublings), kLongestBackOff);
}

std::string end_of(int status) {
  if (!WIFSIGNALED(status)) return concat("exited with code ", std::to_string(WEXITSTATUS(status)));
  const char* const name = ::sigabbrev_np(WTERMSIG(status));
  return name == nullptr ? concat("killed by signal ", std::to_string(WTERMSIG(status)))
                         : concat("killed by SIG", name);
}

const char* name_of(WorkerState state) {
  switch (state) {
    case WorkerState::kStarting:
      return "starting";
    case WorkerState::kStopping:
      return "stopping";
    case WorkerState::kReady:
      break;
  }
  return "serving";
}

void log_of(LogLevel level, const Worker& worker, const std::string& text) {
  log_worker(level, worker.slot + 1, worker.pid, text);
}

}  // namespace

void WorkerPool::replace_all() {
  ++generation_;
  replacing_ = true;
  given_up_ = false;
  for (Slot& slot : slots_) slot = {};
  for (Worker& worker : workers_) {
    if (worker.state == WorkerState::kStarting) retire(worker);
  }
}

void WorkerPool::stop() {
  stopping_ = true;
  replacing_ = false;
  for (Worker& worker : workers_) {
    if (worker.state != WorkerState::kStopping) retire(worker);
  }
}

void WorkerPool::kill_all() noexcept {
  for (const Worker& worker : workers_) ::kill(-worker.pid, SIGKILL);
}

void WorkerPool::adopt(Worker worker) {
  worker.started = Clock::now();
  worker.deadline = worker.started + options_.stop_timeout;
  generation_ = std::max(generation_, worker.generation);
  workers_.push_back(worker);
}

void WorkerPool::tick() {
  const Time now = Clock::now();
  for (Worker& worker : workers_) {
    if (worker.deadline > now || worker.state == WorkerState::kReady) continue;
    if (worker.state == WorkerState::kStarting) {
      set_ready(worker, "is taken as serving: it has not said so (READY=1)");
    } else {
      log_of(LogLevel::kWarning, worker,
             concat("has not stopped in ", seconds_text(options_.stop_timeout), ": killed"));
      ::kill(-worker.pid, SIGKILL);
      worker.deadline = Time::max();
    }
  }
  if (!stopping_ && !given_up_) reconcile();
}

void WorkerPool::reconcile() {
  const std::size_t wanted = options_.count;
  slots_.resize(std::max(wanted, slots_.size()));
  bool one_is_being_replaced = std::any_of(workers_.begin(), workers_.end(), [&](const Worker& worker) {
    return worker.state == WorkerState::kStarting && has_sibling(worker);
  });
  for (unsigned slot = 0; slot < slots_.size(); ++slot) {
    Worker* const old = find(slot, false);
    Worker* const current = find(slot, true);
    if (slot >= wanted) {
      if (old != nullptr) retire(*old);
      if (current != nullptr) retire(*current);
    } else if (current != nullptr) {
      if (old != nullptr && current->state == WorkerState::kReady) retire(*old);
    } else if (old == nullptr ? slots_[slot].restart_at <= Clock::now() : !one_is_being_replaced) {
      one_is_being_replaced |= old != nullptr;
      start(slot);
    }
  }
  slots_.resize(wanted);
  if (is_complete()) replacing_ = false;
}

void WorkerPool::start(unsigned slot) {
  try {
    const Time now = Clock::now();
    workers_.push_back({slot, start_(slot), generation_, WorkerState::kStarting, now, now + options_.ready_timeout});
    log_of(LogLevel::kInfo, workers_.back(), "started");
  } catch (const Failure& failure) {
    fail(slot, false, {}, failure.what(), 0);
  }
}

void WorkerPool::retire(Worker& worker) {
  if (worker.state == WorkerState::kStopping) return;
  worker.state = WorkerState::kStopping;
  worker.deadline = Clock::now() + options_.stop_timeout;
  ::kill(worker.pid, SIGTERM);
  log_of(LogLevel::kInfo, worker, "is asked to stop");
}

void WorkerPool::set_ready(Worker& worker, const char* how) {
  worker.state = WorkerState::kReady;
  log_of(LogLevel::kInfo, worker, how);
}

void WorkerPool::on_ready(pid_t sender) {
  const auto is_sender = [&](const Worker& worker) { return worker.pid == sender; };
  auto found = std::find_if(workers_.begin(), workers_.end(), is_sender);
  if (found == workers_.end()) {
    const pid_t group = ::getpgid(sender);
    found = std::find_if(workers_.begin(), workers_.end(), [&](const Worker& worker) { return worker.pid == group; });
  }
  if (found != workers_.end() && found->state == WorkerState::kStarting) set_ready(*found, "serves");
}

bool WorkerPool::on_exit(pid_t pid, int status) {
  const auto found =
      std::find_if(workers_.begin(), workers_.end(), [&](const Worker& worker) { return worker.pid == pid; });
  if (found == workers_.end()) return false;
  const Worker worker = *found;
  workers_.erase(found);
  const Clock::duration lived = Clock::now() - worker.started;
  const std::string what = concat(end_of(status), " after ", seconds_text(lived));
  if (worker.state == WorkerState::kStopping) {
    log_of(LogLevel::kInfo, worker, what);
  } else if (worker.state == WorkerState::kStarting && has_sibling(worker)) {
    log_of(LogLevel::kError, worker, concat(what, ", before it served"));
    abandon_replacement();
  } else {
    fail(worker.slot, worker.state == WorkerState::kReady, lived, what, pid);
  }
  return true;
}

void WorkerPool::fail(unsigned slot, bool was_ready, Clock::duration lived, const std::string& what, pid_t pid) {
  if (slot >= slots_.size() || stopping_) return;
  Slot& place = slots_[slot];
  place.failures = lived >= kStable ? 1 : place.failures + 1;
  if (!was_ready && serving() == 0 && place.failures >= kMaxFailures) {
    if (!given_up_) {
      log_worker(LogLevel::kError, slot + 1, pid,
                 concat(what, ", for the ", std::to_string(place.failures), "th time running; no worker serves"));
    }
    given_up_ = true;
    return;
  }
  const milliseconds wait = back_off(place.failures);
  place.restart_at = Clock::now() + wait;
  log_worker(LogLevel::kWarning, slot + 1, pid, concat(what, "; again in ", seconds_text(wait)));
}

// Those that serve become the current generation.
void WorkerPool::abandon_replacement() {
  replacing_ = false;
  for (Worker& worker : workers_) {
    if (worker.state != WorkerState::kStopping) worker.generation = generation_;
  }
  log(LogLevel::kError, concat("the replacement is abandoned: ", std::to_string(serving()), " workers go on"));
}

Worker* WorkerPool::find(unsigned slot, bool current) {
  for (Worker& worker : workers_) {
    if (worker.slot == slot && worker.state != WorkerState::kStopping &&
        (worker.generation == generation_) == current) {
      return &worker;
    }
  }
  return nullptr;
}

bool WorkerPool::has_sibling(const Worker& worker) const {
  return std::any_of(workers_.begin(), workers_.end(), [&](const Worker& other) {
    return other.slot == worker.slot && other.pid != worker.pid && other.state == WorkerState::kReady;
  });
}

std::optional<Time> WorkerPool::next_deadline() const {
  std::optional<Time> next;
  const auto consider = [&](Time time) { next = std::min(next.value_or(time), time); };
  for (const Worker& worker : workers_) {
    if (worker.state != WorkerState::kReady && worker.deadline != Time::max()) consider(worker.deadline);
  }
  if (stopping_ || given_up_) return next;
  for (unsigned slot = 0; slot < slots_.size(); ++slot) {
    const bool is_empty = std::none_of(workers_.begin(), workers_.end(), [&](const Worker& worker) {
      return worker.slot == slot && worker.state != WorkerState::kStopping;
    });
    if (is_empty) consider(slots_[slot].restart_at);
  }
  return next;
}

bool WorkerPool::owns(pid_t pid) const {
  return std::any_of(workers_.begin(), workers_.end(), [&](const Worker& worker) { return worker.pid == pid; });
}

unsigned WorkerPool::serving() const {
  return static_cast<unsigned>(
      std::count_if(workers_.begin(), workers_.end(), [](const Worker& w) { return w.state == WorkerState::kReady; }));
}

bool WorkerPool::is_complete() const {
  std::size_t current = 0;
  for (const Worker& worker : workers_) {
    if (worker.state == WorkerState::kReady) {
      if (worker.generation != generation_) return false;
      ++current;
    }
  }
  return current >= options_.count;
}

void WorkerPool::log_status() const {
  for (const Worker& worker : workers_) {
    log_of(LogLevel::kInfo, worker,
           concat(name_of(worker.state), " for ", seconds_text(Clock::now() - worker.started)));
  }
}

}  // namespace runner
