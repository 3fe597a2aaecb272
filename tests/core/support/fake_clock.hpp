// A clock that moves when a test says so.
#pragma once

#include <atomic>
#include <cstdint>

#include "memory/clock.hpp"

namespace kv::test {

class FakeClock {
 public:
  FakeClock() noexcept {
    now().store(1'700'000'000'000);
    set_clock_hook([] { return now().load(); });
  }
  FakeClock(const FakeClock&) = delete;
  FakeClock& operator=(const FakeClock&) = delete;
  ~FakeClock() { set_clock_hook(nullptr); }

  static std::atomic<std::uint64_t>& now() noexcept {
    static std::atomic<std::uint64_t> now_ms{0};
    return now_ms;
  }
  void advance(std::uint64_t ms) noexcept { now() += ms; }
};

}  // namespace kv::test
