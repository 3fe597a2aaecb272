// SIGINT, SIGTERM and SIGHUP while there is no interpreter yet to handle them.
#pragma once

#include <array>
#include <csignal>

namespace runner {

// While it lives, these signals are only remembered (those ignored from the start, as by nohup, stay ignored).
// At most one at a time.
class InterruptGuard {
 public:
  InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  ~InterruptGuard();

  // The signal that came, 0 = none.
  [[nodiscard]] static int signal() noexcept;

 private:
  static constexpr std::array<int, 3> kSignals = {SIGINT, SIGTERM, SIGHUP};
  std::array<struct sigaction, kSignals.size()> before_ = {};
};

// Ends this process by the signal, as if it had never been caught: a shell sees 128 + signal.
[[noreturn]] void die_by(int signal);

}  // namespace runner
