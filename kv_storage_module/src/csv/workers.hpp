// Running one piece of work per range on several threads, with errors as deterministic as on one.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>

namespace kv::csv {

// Called on the calling thread about ten times a second while work runs; false asks to stop. May throw.
using Tick = std::function<bool()>;

// Asked by long work now and then: true if the outcome of range `index` is of no interest any more.
class Stop {
 public:
  explicit Stop(const std::atomic<std::size_t>& limit) noexcept : limit_(limit) {}
  [[nodiscard]] bool operator()(std::size_t index) const noexcept {
    return index >= limit_.load(std::memory_order_relaxed);
  }

 private:
  const std::atomic<std::size_t>& limit_;
};

class Workers {
 public:
  // `thread` counts from 0; ranges are handed out in ascending order.
  using Work = std::function<void(unsigned thread, std::size_t index, const Stop& stop)>;

  // 0 = as many as this process may use CPUs.
  explicit Workers(unsigned threads) noexcept;
  [[nodiscard]] unsigned threads() const noexcept { return threads_; }

  // Runs `work` for 0..count-1 and waits. All threads have ended on return, also by exception. Signals are blocked in
  // them. If work fails, the exception of the lowest index is thrown: every lower one has then been completed.
  // Throws Error{kInterrupted} if `tick` said so, and whatever it threw.
  void run(std::size_t count, const Tick& tick, const Work& work) const;
  // The same, and what comes out of the work is taken by the calling thread, in order: `take(index)` after work(index)
  // and take(index - 1). The threads are at most some indices ahead of it. Nothing is taken at or above an index that
  // failed. What `take` throws ends the work.
  void run_in_order(std::size_t count, const Tick& tick, const Work& work,
                    const std::function<void(std::size_t index)>& take) const;

 private:
  unsigned threads_;
};

}  // namespace kv::csv
