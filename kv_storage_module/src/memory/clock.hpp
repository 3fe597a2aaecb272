// The time of day that due times are compared with: wall-clock milliseconds since the epoch, the same in all processes.
//
// CLOCK_REALTIME_COARSE is read without a system call, in some nanoseconds; it moves once per tick of the kernel (1 to
// 10 ms), for all processes at the same instant. Reading it is allowed in an optimistic section.
#pragma once

#include <cstdint>

namespace kv {

// A due time that never comes. It compares greater than every other.
inline constexpr std::uint64_t kNeverDue = ~std::uint64_t{0};

[[nodiscard]] std::uint64_t wall_clock_ms() noexcept;

// For tests, which must not wait: what wall_clock_ms answers in this process from now on; nullptr = the time of day.
using ClockHook = std::uint64_t (*)();
void set_clock_hook(ClockHook hook) noexcept;

// The time of one call: asked for at most once, and only if an entry that can expire is met. So one call sees one
// instant however often its section runs again, and a store without due times never asks.
class CallTime {
 public:
  CallTime() noexcept = default;
  explicit CallTime(std::uint64_t ms) noexcept : ms_(ms) {}
  [[nodiscard]] std::uint64_t ms() noexcept {
    if (ms_ == 0) ms_ = wall_clock_ms();
    return ms_;
  }
  [[nodiscard]] bool is_past(std::uint64_t due_ms) noexcept { return due_ms != kNeverDue && due_ms <= ms(); }

 private:
  std::uint64_t ms_ = 0;
};

}  // namespace kv
