#include "persist/background.hpp"

#include <pthread.h>

#include <algorithm>
#include <csignal>
#include <ctime>
#include <system_error>

#include "persist/durable_log.hpp"

namespace kv::persist {
namespace {

constexpr std::chrono::seconds kRetryAfter{10};

// Signals are for the threads of the program.
class BlockedSignals {
 public:
  BlockedSignals() noexcept {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;
  ~BlockedSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

}  // namespace

std::uint64_t monotonic_ms() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000 + static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000;
}

void Background::start() {
  const std::lock_guard lock(mutex_);
  if (running_.load(std::memory_order_relaxed)) return;
  if (thread_.joinable()) thread_.join();
  stopping_.store(false);
  const BlockedSignals blocked;
  try {
    thread_ = std::thread([this] { run(); });
    running_.store(true);
  } catch (const std::system_error&) {  // no thread to be had: the next write tries again
  }
}

void Background::hurry() noexcept {
  {
    const std::lock_guard lock(mutex_);
    hurry_ = true;
  }
  wake_.notify_one();
}

bool Background::stop() noexcept {
  {
    const std::lock_guard lock(mutex_);
    stopping_.store(true);
  }
  wake_.notify_one();
  if (!thread_.joinable()) return false;
  thread_.join();
  running_.store(false);
  return true;
}

void Background::run() {
  const Part::PatientScope patient;  // no interpreter knows this thread
  std::unique_lock lock(mutex_);
  for (;;) {
    // Twice in an interval, so that it is not missed by half of one if another process that synced has died.
    const auto pause =
        std::chrono::milliseconds(std::max<std::uint32_t>(1, load32(&log_.state().sync_interval_ms) / 2));
    wake_.wait_for(lock, pause, [&] { return stopping_.load() || hurry_; });
    if (stopping_.load()) return;
    hurry_ = false;
    lock.unlock();
    work();
    lock.lock();
  }
}

void Background::work() {
  const DurableState& state = log_.state();
  if (load32(&state.failure) != 0) return;
  try {
    const std::uint64_t now = monotonic_ms();
    if (log_.mode() == SyncMode::kInterval && now - load64(&state.last_sync_ms) >= load32(&state.sync_interval_ms)) {
      log_.sync_all();
    }
    if (!log_.checkpoint_is_due() || std::chrono::steady_clock::now() < retry_at_) return;
    log_.try_checkpoint([this] { return stopping_.load(); });
  } catch (const std::exception&) {  // what failed is in the shared state; a checkpoint can be tried again
    retry_at_ = std::chrono::steady_clock::now() + kRetryAfter;
  }
}

}  // namespace kv::persist
