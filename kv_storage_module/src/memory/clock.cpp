#include "memory/clock.hpp"

#include <atomic>
#include <ctime>

namespace kv {
namespace {

std::atomic<ClockHook> clock_hook{nullptr};

}  // namespace

std::uint64_t wall_clock_ms() noexcept {
  if (const ClockHook hook = clock_hook.load(std::memory_order_relaxed)) return hook();
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000 + static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000;
}

void set_clock_hook(ClockHook hook) noexcept { clock_hook.store(hook); }

}  // namespace kv
