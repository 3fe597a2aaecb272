// The one thread that a durable store has in a process that writes: it syncs once in an interval and writes a
// checkpoint when the logs have grown. Started by the first write, joined before a fork (a native thread alive at
// os.fork() makes Python warn, and would not be in the child) and started again by the next write.
//
// Several processes that write have one each. Who comes first does the work of an interval, as the time of the last
// sync is in shared memory: so if one is killed the others go on.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace kv::persist {

class DurableLog;

class Background {
 public:
  explicit Background(DurableLog& log) noexcept : log_(log) {}
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;
  ~Background() { stop(); }

  // After a write: makes sure that the thread runs. One load if it does.
  void ensure_running() {
    if (!running_.load(std::memory_order_relaxed)) [[unlikely]]
      start();
  }
  // Something is to be done now.
  void hurry() noexcept;
  // Joins the thread; a checkpoint it is writing is given up. True = it ran.
  bool stop() noexcept;

  void before_fork() noexcept { mutex_.lock(); }  // after stop()
  void after_fork() noexcept { mutex_.unlock(); }

 private:
  void start();
  void run();
  void work();

  DurableLog& log_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::thread thread_;
  std::atomic<bool> running_{false};
  std::atomic<bool> stopping_{false};
  bool hurry_ = false;
  std::chrono::steady_clock::time_point retry_at_{};  // of a checkpoint, after one that failed
};

// Milliseconds of CLOCK_MONOTONIC, the same in all processes.
[[nodiscard]] std::uint64_t monotonic_ms() noexcept;

}  // namespace kv::persist
