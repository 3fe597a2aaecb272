#include "csv/workers.hpp"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "kv_storage/error.hpp"

namespace kv::csv {
namespace {

constexpr std::chrono::milliseconds kTickInterval{100};
constexpr std::size_t kAhead = 4;  // results beside two for each thread that may wait to be taken

unsigned available_cpus() noexcept {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1U, static_cast<unsigned>(CPU_COUNT(&set)));
  return std::max(1U, std::thread::hardware_concurrency());
}

// Threads inherit the mask: a signal handler (Python's) must only ever run on the caller's own threads.
class SignalsBlocked {
 public:
  SignalsBlocked() noexcept {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

class Job {
 public:
  Job(std::size_t count, const Workers::Work& work) : work_(work), limit_(count) {}
  // Whose results are taken one after the other: see wait_for.
  Job(std::size_t count, const Workers::Work& work, std::size_t ahead)
      : work_(work), limit_(count), ahead_(ahead), ready_(count) {}
  ~Job() {
    stop();
    for (std::thread& thread : threads_) thread.join();
  }
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  void start(unsigned threads) {
    const SignalsBlocked blocked;
    for (unsigned i = 0; i < threads; ++i) {
      {
        const std::lock_guard lock(mutex_);
        ++running_;
      }
      try {
        threads_.emplace_back([this, i] { run(i); });
      } catch (const std::system_error& error) {
        const std::lock_guard lock(mutex_);
        --running_;
        // Fewer threads do the same work.
        if (i == 0) throw Error::from_errno(error.code().value(), "cannot start a thread");
        return;
      }
    }
  }

  // False = `tick` asked to stop.
  bool wait(const Tick& tick) {
    std::unique_lock lock(mutex_);
    while (!done_.wait_for(lock, kTickInterval, [this] { return running_ == 0; })) {
      if (!tick) continue;
      lock.unlock();
      if (!tick()) return false;
      lock.lock();
    }
    return true;
  }

  // Until work(index) has been done, and lets the threads be `ahead_` indices ahead of it. False = `tick` asked to
  // stop.
  bool wait_for(std::size_t index, const Tick& tick) {
    std::unique_lock lock(mutex_);
    taken_ = index;
    moved_.notify_all();
    const auto ready = [&] { return ready_[index] || (error_ && error_index_ <= index); };
    while (!done_.wait_for(lock, kTickInterval, ready)) {
      if (!tick) continue;
      lock.unlock();
      if (!tick()) return false;
      lock.lock();
    }
    if (!ready_[index]) std::rethrow_exception(error_);
    return true;
  }

  void stop() noexcept {
    limit_.store(0, std::memory_order_relaxed);
    const std::lock_guard lock(mutex_);
    moved_.notify_all();
  }

  void rethrow_first() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  void run(unsigned thread) {
    const Stop stop(limit_);
    for (;;) {
      const std::size_t index = next_.fetch_add(1, std::memory_order_relaxed);
      if (stop(index) || !may_begin(index, stop)) break;
      try {
        work_(thread, index, stop);
        finish(index);
      } catch (...) {
        fail(index);
      }
    }
    const std::lock_guard lock(mutex_);
    if (--running_ == 0) done_.notify_all();
  }

  [[nodiscard]] bool may_begin(std::size_t index, const Stop& stop) {
    if (ready_.empty()) return true;
    std::unique_lock lock(mutex_);
    moved_.wait(lock, [&] { return stop(index) || index < taken_ + ahead_; });
    return !stop(index);
  }

  void finish(std::size_t index) {
    if (ready_.empty()) return;
    const std::lock_guard lock(mutex_);
    ready_[index] = true;
    done_.notify_all();
  }

  // Work on higher ranges has become pointless; lower ones, all handed out already, may still fail before this one.
  void fail(std::size_t index) noexcept {
    const std::lock_guard lock(mutex_);
    if (error_ && index > error_index_) return;
    error_ = std::current_exception();
    error_index_ = index;
    limit_.store(std::min(limit_.load(std::memory_order_relaxed), index), std::memory_order_relaxed);
    moved_.notify_all();
    done_.notify_all();
  }

  const Workers::Work& work_;
  std::atomic<std::size_t> next_{0};
  std::atomic<std::size_t> limit_;  // ranges from here on need not be done
  std::mutex mutex_;
  std::condition_variable done_;
  unsigned running_ = 0;
  std::exception_ptr error_;
  std::size_t error_index_ = 0;
  std::size_t ahead_ = 0;
  std::size_t taken_ = 0;
  std::vector<bool> ready_;  // empty = nobody takes the results one by one
  std::condition_variable moved_;
  std::vector<std::thread> threads_;
};

}  // namespace

Workers::Workers(unsigned threads) noexcept : threads_(threads == 0 ? available_cpus() : threads) {}

void Workers::run(std::size_t count, const Tick& tick, const Work& work) const {
  if (count == 0) return;
  Job job(count, work);
  job.start(static_cast<unsigned>(std::min<std::size_t>(threads_, count)));
  if (!job.wait(tick)) throw Error(ErrorCode::kInterrupted, "loading was interrupted");
  job.rethrow_first();
}

void Workers::run_in_order(std::size_t count, const Tick& tick, const Work& work,
                           const std::function<void(std::size_t)>& take) const {
  if (count == 0) return;
  Job job(count, work, kAhead + std::size_t{2} * threads_);
  job.start(static_cast<unsigned>(std::min<std::size_t>(threads_, count)));
  for (std::size_t index = 0; index < count; ++index) {
    if (!job.wait_for(index, tick)) throw Error(ErrorCode::kInterrupted, "loading was interrupted");
    take(index);
  }
}

}  // namespace kv::csv
