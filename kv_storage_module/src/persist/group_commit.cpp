#include "persist/group_commit.hpp"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <thread>

#include "memory/words.hpp"

namespace kv::persist {
namespace {

constexpr std::uint64_t kLongestWaitNs = 100'000;  // for others
constexpr std::uint64_t kLongestSpinNs = 200'000;  // for a sync: slower disks are worth sleeping for
constexpr std::uint64_t kMostExpected = 64;
constexpr std::uint32_t kMostFutile = 6;  // 2^6 syncs are left be at most

[[nodiscard]] std::uint64_t now_ns() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace

int GroupCommit::spin(std::uint64_t end) noexcept {
  static const std::uint64_t processors = std::max(1U, std::thread::hardware_concurrency());
  const std::uint64_t sync_ns = load64(&log_.sync_ns);
  int result = ::pthread_mutex_trylock(&log_.sync_mutex);
  if (result != EBUSY || sync_ns > kLongestSpinNs) return result;
  const std::uint64_t until = now_ns() + std::min(2 * sync_ns, kLongestSpinNs);
  // Not more of them than processors that would do nothing.
  while (load64(&log_.arrivals) - load64(&log_.served) <= processors && now_ns() < until) {
    if (load64(&log_.durable) >= end) return EBUSY;
    result = ::pthread_mutex_trylock(&log_.sync_mutex);
    if (result != EBUSY) return result;
    ::sched_yield();
  }
  return EBUSY;
}

void GroupCommit::before_sync() noexcept {
  const auto here = [&] { return load64(&log_.arrivals) - log_.served; };
  begin_ns_ = now_ns();
  if (log_.skip != 0) {
    store_relaxed<std::uint32_t>(&log_.skip, log_.skip - 1);
  } else if (here() < log_.expected) {
    const std::uint64_t until = begin_ns_ + std::min(log_.sync_ns / 2, kLongestWaitNs);
    while (here() < log_.expected && begin_ns_ < until) {
      ::sched_yield();
      begin_ns_ = now_ns();
    }
    const bool came = here() >= log_.expected;
    store_relaxed<std::uint32_t>(&log_.futile, came ? 0 : std::min(log_.futile + 1, kMostFutile));
    if (!came) store_relaxed<std::uint32_t>(&log_.skip, 1U << log_.futile);
  }
  serves_ = load64(&log_.arrivals);
}

void GroupCommit::after_sync() noexcept {
  store_relaxed<std::uint64_t>(&log_.sync_ns, now_ns() - begin_ns_);
  const std::uint64_t came = load64(&log_.arrivals) - log_.served;  // those it served and those who came meanwhile
  store_relaxed<std::uint64_t>(&log_.expected, std::min(came, kMostExpected));
  store_relaxed<std::uint64_t>(&log_.served, serves_);
}

}  // namespace kv::persist
