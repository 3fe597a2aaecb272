// Forked children under a test's control, and gates by which two processes wait for each other without sleeping.
#pragma once

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <exception>
#include <utility>

namespace kv::test {

// Runs `body` in a child, which ends with its result as exit code and without the parent's exit handlers. A body
// reports by its result: doctest's assertions belong to the parent.
class ChildProcess {
 public:
  static constexpr int kException = 99;

  template <class Body>
  explicit ChildProcess(Body&& body) : pid_(::fork()) {
    REQUIRE(pid_ >= 0);
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    int result = kException;
    try {
      result = std::forward<Body>(body)();
    } catch (const std::exception&) {
    }
    ::_exit(result);
  }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess() {
    if (pid_ > 0) kill();
  }

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

  // Exit code, or minus the signal that ended it.
  int wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  void kill() {
    ::kill(pid_, SIGKILL);
    wait();
  }

 private:
  pid_t pid_;
};

// Opened by one process, passed by another that inherited it. Counts: each pass uses up one opening.
class Gate {
 public:
  Gate() { REQUIRE(::pipe(ends_.data()) == 0); }
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  ~Gate() {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }

  void open() noexcept {
    const char token = 1;
    while (::write(ends_[1], &token, 1) < 0 && errno == EINTR) {
    }
  }
  // False if nobody opened it for a minute: a test then fails and does not hang.
  [[nodiscard]] bool pass() noexcept {
    constexpr int kPatienceMs = 60'000;
    pollfd readable{ends_[0], POLLIN, 0};
    char token = 0;
    return ::poll(&readable, 1, kPatienceMs) == 1 && ::read(ends_[0], &token, 1) == 1;
  }

 private:
  std::array<int, 2> ends_{};
};

// Stays where it is until the parent kills this process.
[[noreturn]] inline void wait_to_be_killed() noexcept {
  for (;;) ::pause();
}

}  // namespace kv::test
