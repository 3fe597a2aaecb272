#include "memory/part.hpp"

#include <pthread.h>

#include <cerrno>
#include <ctime>
#include <stdexcept>

#include "kv_storage/store.hpp"
#include "memory/arena.hpp"

namespace kv {
namespace {

void wait_in_slices(bool (*try_wait)(void*), void* context) {
  while (!try_wait(context)) {
  }
}

std::atomic<WaitHook> wait_hook{wait_in_slices};

struct LockAttempt {
  pthread_mutex_t* mutex;
  int result;
};

#if defined(__SANITIZE_THREAD__)  // which does not know pthread_mutex_clocklock
constexpr clockid_t kLockClock = CLOCK_REALTIME;
int lock_until(pthread_mutex_t* mutex, const timespec& deadline) { return ::pthread_mutex_timedlock(mutex, &deadline); }
#else
constexpr clockid_t kLockClock = CLOCK_MONOTONIC;
int lock_until(pthread_mutex_t* mutex, const timespec& deadline) {
  return ::pthread_mutex_clocklock(mutex, kLockClock, &deadline);
}
#endif

bool try_lock_slice(void* context) {
  auto* attempt = static_cast<LockAttempt*>(context);
  attempt->result = lock_within_slice(attempt->mutex);
  return attempt->result != ETIMEDOUT;
}

inline void pause_cpu() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

int lock_within_slice(pthread_mutex_t* mutex) noexcept {
  constexpr long kSliceNanoseconds = 50'000'000;
  timespec deadline{};
  ::clock_gettime(kLockClock, &deadline);
  deadline.tv_nsec += kSliceNanoseconds;
  if (deadline.tv_nsec >= 1'000'000'000) deadline.tv_nsec -= 1'000'000'000, ++deadline.tv_sec;
  return lock_until(mutex, deadline);
}

void wait_until(bool (*try_wait)(void*), void* context) {
  const WaitHook wait = Part::PatientScope::depth() > 0 ? wait_in_slices : wait_hook.load(std::memory_order_relaxed);
  wait(try_wait, context);
}

void set_wait_hook(WaitHook hook) noexcept { wait_hook.store(hook != nullptr ? hook : wait_in_slices); }

alignas(64) const std::byte kZeroBlock[kZeroBytes] = {};

int& Part::PatientScope::depth() noexcept {
  thread_local int depth = 0;
  return depth;
}

Part::Part(Arena& arena, std::uint32_t index) noexcept
    : arena_(arena),
      index_(index),
      control_(reinterpret_cast<PartControl*>(arena.base() + kHeaderBytes) + index),
      slice_(arena.base() + arena.header().slice_offset + index * arena.header().slice_bytes),
      slice_bytes_(arena.header().slice_bytes) {}

std::uint64_t Part::stable_sequence() const noexcept {
  std::uint64_t value = sequence();
  for (int spin = 0; (value & 1) != 0 && spin < kSpins; ++spin) {
    pause_cpu();
    value = sequence();
  }
  return value;
}

void Part::lock() const {
  int result = ::pthread_mutex_trylock(&control_->mutex);
  if (result == EBUSY) {
    LockAttempt attempt{&control_->mutex, 0};
    wait_until(try_lock_slice, &attempt);
    result = attempt.result;
  }
  if (result == 0) return;
  if (result != EOWNERDEAD) throw Error::from_errno(result, "cannot lock a part of the store");
  if (!kRecovers) control_->journal_count = 0;
  undo();
  leave_stripes();
  if (LogSink* const log = arena_.log()) log->retract(*this);
  ++control_->recoveries;
  ::pthread_mutex_consistent(&control_->mutex);
  arena_.reap_soon();  // who died may have left pins, too
}

void Part::unlock() const noexcept { ::pthread_mutex_unlock(&control_->mutex); }

void Part::undo() const noexcept {
  for (std::uint64_t i = control_->journal_count; i > 0; --i) {
    const JournalEntry& entry = control_->journal[i - 1];
    store_relaxed<std::uint64_t>(arena_.base() + entry.offset, entry.old_word);
  }
  std::atomic_signal_fence(std::memory_order_seq_cst);
  store_relaxed<std::uint64_t>(&control_->journal_count, 0);
  for (std::uint64_t* const number : {&control_->sequence, &control_->wide_sequence}) {
    const std::uint64_t value = load64(number);
    if (value & 1) __atomic_store_n(number, value + 1, __ATOMIC_RELEASE);
  }
}

// Of the transaction that was undone. Which stripe it was confined to, it told nobody.
void Part::leave_stripes() const noexcept {
  for (std::uint64_t& stripe : control_->stripes) {
    const std::uint64_t value = load64(&stripe);
    if (value & 1) __atomic_store_n(&stripe, value + 1, __ATOMIC_RELEASE);
  }
}

}  // namespace kv
