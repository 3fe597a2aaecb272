// Runs an operation in a child one machine instruction at a time: ptrace(2), PTRACE_SINGLESTEP.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <stdexcept>

namespace kv::crash {

class PtraceRefused : public std::runtime_error {
 public:
  PtraceRefused() : std::runtime_error("ptrace is not permitted here") {}
};

class Stepper {
 public:
  // Forks a child that stops just before `operation`.
  explicit Stepper(const std::function<void()>& operation);
  Stepper(const Stepper&) = delete;
  Stepper& operator=(const Stepper&) = delete;
  ~Stepper();  // kills the child wherever it is

  // One instruction; false if the child has ended instead. Throws if the operation failed, or did what no test expects.
  bool step();

 private:
  int wait_for_stop();

  pid_t pid_;
};

}  // namespace kv::crash
