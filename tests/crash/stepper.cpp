#include "stepper.hpp"

#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace kv::crash {
namespace {

constexpr int kRefused = 77;

}  // namespace

Stepper::Stepper(const std::function<void()>& operation) {
  std::fflush(stdout);
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("cannot fork");
  if (pid_ != 0) {
    const int status = wait_for_stop();
    if (pid_ < 0 && WEXITSTATUS(status) == kRefused) throw PtraceRefused();
    return;
  }
  if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(kRefused);
  ::raise(SIGSTOP);
  try {
    operation();
  } catch (...) {
    ::_exit(EXIT_FAILURE);
  }
  ::_exit(EXIT_SUCCESS);
}

Stepper::~Stepper() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  while (pid_ >= 0) wait_for_stop();
}

// Forgets the child if it is no more.
int Stepper::wait_for_stop() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFSTOPPED(status)) pid_ = -1;
  return status;
}

bool Stepper::step() {
  if (::ptrace(PTRACE_SINGLESTEP, pid_, nullptr, nullptr) != 0) throw PtraceRefused();
  const int status = wait_for_stop();
  if (pid_ >= 0) {
    if (WSTOPSIG(status) == SIGTRAP) return true;
    throw std::runtime_error("the child got signal " + std::to_string(WSTOPSIG(status)));
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS) return false;
  throw std::runtime_error("the operation failed in the child");
}

}  // namespace kv::crash
