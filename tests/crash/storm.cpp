#include "storm.hpp"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <thread>

namespace kv::crash {
namespace {

constexpr unsigned kPatienceSeconds = 120;  // without progress: a lock was never given back

Scoreboard& map_scoreboard(int fd) {
  void* const at = ::mmap(nullptr, sizeof(Scoreboard), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) throw std::runtime_error("cannot map the scoreboard");
  return *static_cast<Scoreboard*>(at);
}

// Zeros, which are a valid Scoreboard. Inherited by workers that are programs of their own.
int make_scoreboard() {
  const int fd = ::memfd_create("scoreboard", 0);
  if (fd < 0 || ::ftruncate(fd, sizeof(Scoreboard)) != 0) throw std::runtime_error("cannot make a scoreboard");
  return fd;
}

WorkloadOptions workload_options(const StormOptions& options) {
  return {options.mode, options.memory_mb * 1024 * 1024, options.writers, options.address};
}

std::unique_ptr<Workload> require_workload(const StormOptions& options, Scoreboard& scoreboard) {
  auto workload = make_workload(workload_options(options), scoreboard);
  if (!workload) throw std::runtime_error("there is no mode '" + options.mode + "' here");
  return workload;
}

void wait_microseconds(std::uint64_t n) { std::this_thread::sleep_for(std::chrono::microseconds(n)); }

}  // namespace

Storm::Storm(const StormOptions& options)
    : options_(options),
      scoreboard_fd_(make_scoreboard()),
      scoreboard_(map_scoreboard(scoreboard_fd_)),
      workload_(require_workload(options, scoreboard_)),
      random_(options.seed) {}

int Storm::run() {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(options_.seconds);
  pids_.resize(workers());
  for (std::uint32_t number = 0; number < workers(); ++number) start(number);
  while (kills_ < options_.kills && scoreboard_.violations == 0 && std::chrono::steady_clock::now() < deadline) {
    ::alarm(kPatienceSeconds);
    // A program that joins needs some milliseconds before it does anything worth interrupting.
    wait_microseconds(options_.attach ? 2'000 + random_.below(15'000) : 200 + random_.below(3'000));
    const auto victim = static_cast<std::uint32_t>(random_.below(workers()));
    kill(victim);
    check();
    start(victim);
  }
  for (std::uint32_t number = 0; number < workers(); ++number) kill(number);
  if (scoreboard_.violations == 0) check_at_rest();

  std::printf("%s: %llu kills, %llu recoveries, %llu writes, %llu refused, %llu reads, %llu violations\n",
              options_.mode.c_str(), static_cast<unsigned long long>(kills_),
              static_cast<unsigned long long>(workload_->recoveries()),
              static_cast<unsigned long long>(scoreboard_.writes), static_cast<unsigned long long>(scoreboard_.refused),
              static_cast<unsigned long long>(scoreboard_.reads),
              static_cast<unsigned long long>(scoreboard_.violations));
  const bool violated = scoreboard_.violations != 0;
  if (violated) std::printf("first violation: %s\n", scoreboard_.first_violation);
  return violated == options_.expect_violations ? EXIT_SUCCESS : EXIT_FAILURE;
}

void Storm::start(std::uint32_t number) {
  if (number < options_.writers) ++scoreboard_.lives[number];
  const std::uint64_t seed = random_.next();
  std::fflush(stdout);
  const std::string address = options_.attach ? workload_->address() : "";
  const pid_t pid = ::fork();
  if (pid < 0) throw std::runtime_error("cannot fork");
  pids_[number] = pid;
  if (pid != 0) return;
  ::alarm(0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (!options_.attach) work(options_, scoreboard_, *workload_, number, seed);
  const std::array<std::string, 8> arguments{"kill_storm",
                                             "--mode=" + options_.mode,
                                             "--address=" + address,
                                             "--seed=" + std::to_string(seed),
                                             "--writers=" + std::to_string(options_.writers),
                                             "--readers=" + std::to_string(options_.readers),
                                             "--worker=" + std::to_string(number),
                                             "--scoreboard-fd=" + std::to_string(scoreboard_fd_)};
  std::array<char*, arguments.size() + 1> pointers{};
  for (std::size_t i = 0; i < arguments.size(); ++i) pointers[i] = const_cast<char*>(arguments[i].c_str());
  ::execv("/proc/self/exe", pointers.data());
  ::_exit(EXIT_FAILURE);
}

void Storm::work(const StormOptions& options, Scoreboard& scoreboard, Workload& workload, std::uint32_t number,
                 std::uint64_t seed) {
  try {
    Random random(seed);
    for (;;) {
      if (number < options.writers) {
        workload.write(number, random);
        ++scoreboard.writes;
      } else {
        workload.read(random);
        ++scoreboard.reads;
      }
    }
  } catch (const std::exception& error) {
    scoreboard.report("worker " + std::to_string(number) + ": " + error.what());
  }
  ::_exit(EXIT_FAILURE);
}

void Storm::work_as_guest(const StormOptions& options) {
  Scoreboard& scoreboard = map_scoreboard(options.scoreboard_fd);
  try {
    const auto workload = require_workload(options, scoreboard);
    work(options, scoreboard, *workload, static_cast<std::uint32_t>(options.worker), options.seed);
  } catch (const std::exception& error) {
    scoreboard.report("worker " + std::to_string(options.worker) + " could not join: " + error.what());
  }
  ::_exit(EXIT_FAILURE);
}

void Storm::kill(std::uint32_t number) {
  if (number < options_.writers) scoreboard_.deaths[number] = scoreboard_.lives[number].load();
  ::kill(pids_[number], SIGKILL);
  int status = 0;
  while (::waitpid(pids_[number], &status, 0) < 0 && errno == EINTR) {
  }
  ++kills_;
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
    scoreboard_.report("worker " + std::to_string(number) + " ended by itself, with wait status " +
                       std::to_string(status));
  }
  if (number < options_.writers) {
    guarded([&] { workload_->settle(number); });
  }
}

// A worker that reports a violation stops by itself; the count tells. What a check throws is a violation, too: it found
// a structure that it could not follow.
template <class Check>
void Storm::guarded(Check&& check) {
  try {
    check();
  } catch (const std::exception& error) {
    scoreboard_.report("after kill " + std::to_string(kills_) + ": " + error.what());
  }
}

void Storm::check() {
  guarded([&] {
    for (const std::string& what : workload_->verify()) throw Violation(what);
  });
}

void Storm::check_at_rest() {
  guarded([&] {
    for (const std::string& what : workload_->verify_at_rest()) throw Violation("at rest: " + what);
    if (kills_ >= 200 && workload_->recoveries() == 0) throw Violation("no writer was killed inside a transaction");
    if (scoreboard_.writes == 0 || scoreboard_.reads == 0) throw Violation("nobody did anything");
  });
}

}  // namespace kv::crash
