// A part: one slice of the arena with its own lock, sequence number, undo journal and allocator.
//
// Writing: one Transaction at a time (memory/transaction.hpp) under a robust mutex.
// Reading: optimistic, after Lamport's seqlock as written down in H.-J. Boehm, "Can seqlocks get along with programming
// language memory models?", MSPC 2012. `read` runs a section which may see memory that a writer is changing, or a block
// that was freed and used again; if the sequence number moved meanwhile the result is thrown away and the section runs
// again. So a section must survive garbage:
//   - it loads shared memory only through memory/words.hpp, and follows references only through `at`, which answers an
//     impossible one with a page of zeros (no node kind and no block size is 0, so a walk over zeros ends);
//   - its steps are bounded whatever it reads; it copies only into private memory of a size it chose itself;
//   - it writes no shared memory, allocates nothing it does not own, decodes no text and never calls Python.
//
// One sequence number would have each writer spoil the sections of all readers. So keys are divided into *stripes* by
// their hash. A transaction that changes what readers of one key see is confined to the key's stripe: beside `sequence`
// it changes the stripe's number; any other changes the part's wide number. A section that looks at nothing but what
// leads to the key's entry, and at that, is `read_stripe`: it is spoilt by writers of its own stripe and by wide ones.
// What such a section may look at, as only wide transactions change it: the collection's root but for its counters and
// its index, and the look-aside table; and the entries that this leads to with the hash bits that name the stripe.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "memory/layout.hpp"
#include "memory/words.hpp"

namespace kv {

class Arena;

// Defined only for the negative controls of tests/crash: each leaves out one half of the protocol, and must be found
// out.
#if defined(KV_TEST_NO_RECOVERY)
inline constexpr bool kRecovers = false;
#else
inline constexpr bool kRecovers = true;
#endif
#if defined(KV_TEST_NO_VALIDATION)
inline constexpr bool kValidates = false;
#else
inline constexpr bool kValidates = true;
#endif

// A page of zeros, and some: what an impossible reference leads to.
inline constexpr std::size_t kZeroBytes = 8192;
extern const std::byte kZeroBlock[kZeroBytes];

// A process's handle to one part. Trivially small, owned by the Arena, valid as long as it.
class Part {
 public:
  Part(Arena& arena, std::uint32_t index) noexcept;

  // The block `ref`, of which at least `bytes` (<= kZeroBytes) may be read: a page of zeros if it cannot be one.
  [[nodiscard]] const std::byte* at(Ref ref, std::size_t bytes) const noexcept {
    return contains(ref, bytes) ? slice_ + std::uint64_t{ref} * kGranule : kZeroBlock;
  }
  // Whether [ref, ref + bytes) lies inside the slice. A section asks this before it reads more than kZeroBytes.
  [[nodiscard]] bool contains(Ref ref, std::uint64_t bytes) const noexcept {
    return std::uint64_t{ref} * kGranule + bytes <= slice_bytes_;
  }
  [[nodiscard]] static Ref offset_ref(Ref ref, std::size_t bytes) noexcept {
    return ref + static_cast<Ref>(bytes / kGranule);
  }

  // Runs `section` until it saw one consistent state; returns what it returned. After some tries in vain it takes the
  // lock, so a reader cannot be starved. `section` must set all it writes anew at each run.
  template <class Section>
  auto read(Section&& section) const {
    for (int attempt = 0; attempt < kOptimisticTries; ++attempt) {
      const std::uint64_t before = stable_sequence();
      if (before & 1) continue;
      auto result = section();
      std::atomic_thread_fence(std::memory_order_acquire);
      if (!kValidates || load64(&control_->sequence) == before) return result;
    }
    const Lock lock(*this);
    return section();
  }

  // One try of a section that looks at one key of `stripe` only; see above. `section` returns an optional, which is
  // empty after a try in vain: then ask `read`.
  template <class Section>
  auto read_stripe(std::uint32_t stripe, Section&& section) const {
    return read_wide([&]() -> decltype(section()) {
      const std::uint64_t before = stripe_sequence(stripe);
      auto result = section();
      std::atomic_thread_fence(std::memory_order_acquire);
      return stripe_unchanged(stripe, before) ? std::move(result) : decltype(section()){};
    });
  }
  // The same for a section that looks at several keys, and answers for their stripes itself.
  template <class Section>
  auto read_wide(Section&& section) const -> decltype(section()) {
    const std::uint64_t before = __atomic_load_n(&control_->wide_sequence, __ATOMIC_ACQUIRE);
    if ((before & 1) != 0) return {};
    auto result = section();
    std::atomic_thread_fence(std::memory_order_acquire);
    if (!kValidates || load64(&control_->wide_sequence) == before) return result;
    return {};
  }
  // A stripe's number, to be asked for before its keys are looked at, and whether what was seen since then is one state
  // of it: to be asked behind an acquire fence.
  [[nodiscard]] std::uint64_t stripe_sequence(std::uint32_t stripe) const noexcept {
    return __atomic_load_n(&control_->stripes[stripe], __ATOMIC_ACQUIRE);
  }
  [[nodiscard]] bool stripe_unchanged(std::uint32_t stripe, std::uint64_t before) const noexcept {
    return !kValidates || ((before & 1) == 0 && load64(&control_->stripes[stripe]) == before);
  }

  // The sequence number, even while nobody writes: a later equal value means that nothing changed in between.
  [[nodiscard]] std::uint64_t sequence() const noexcept {
    return __atomic_load_n(&control_->sequence, __ATOMIC_ACQUIRE);
  }

  // Holds the part's mutex. Taking it may undo the transaction of a writer that died (EOWNERDEAD).
  class Lock {
   public:
    explicit Lock(const Part& part) : part_(part) { part.lock(); }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;
    ~Lock() { part_.unlock(); }

   private:
    const Part& part_;
  };

  // While one lives, this thread waits without the hook of set_wait_hook, so that waiting cannot throw.
  // Safe whatever the caller holds: who has a part lock never waits for anything else.
  class PatientScope {
   public:
    PatientScope() noexcept { ++depth(); }
    PatientScope(const PatientScope&) = delete;
    PatientScope& operator=(const PatientScope&) = delete;
    ~PatientScope() { --depth(); }
    [[nodiscard]] static int& depth() noexcept;
  };

  [[nodiscard]] Arena& arena() const noexcept { return arena_; }
  [[nodiscard]] std::uint32_t index() const noexcept { return index_; }
  [[nodiscard]] PartControl& control() const noexcept { return *control_; }
  [[nodiscard]] std::byte* slice() const noexcept { return slice_; }

  void lock() const;
  void unlock() const noexcept;
  // Applies the journal backwards and makes the sequence and the wide number even. Under the lock. Idempotent.
  void undo() const noexcept;

 private:
  static constexpr int kOptimisticTries = 8;
  static constexpr int kSpins = 100;

  [[nodiscard]] std::uint64_t stable_sequence() const noexcept;
  void leave_stripes() const noexcept;

  Arena& arena_;
  std::uint32_t index_;
  PartControl* control_;
  std::byte* slice_;
  std::uint64_t slice_bytes_;
};

// Waits through the hook of set_wait_hook until `try_wait` says that waiting is over.
void wait_until(bool (*try_wait)(void*), void* context);

// Takes a robust mutex of the arena, waiting for at most some 50 ms. 0, EOWNERDEAD, ETIMEDOUT, or what else
// pthread_mutex_lock(3) answers.
[[nodiscard]] int lock_within_slice(pthread_mutex_t* mutex) noexcept;

}  // namespace kv
