#include "memory/transaction.hpp"

#include <algorithm>
#include <stdexcept>

#include "memory/allocator.hpp"
#include "memory/arena.hpp"
#include "memory/pins.hpp"

namespace kv {
namespace {

constexpr std::uint64_t kReapInterval = 65'536;  // transactions

// Keeps the compiler from moving stores across. No barrier of the processor is needed: see transaction.hpp.
inline void compiler_fence() noexcept { std::atomic_signal_fence(std::memory_order_seq_cst); }

}  // namespace

Transaction::~Transaction() {
  rollback();
  trim_free_runs(*this);
  Arena& arena = part_.arena();
  part_.unlock();
  arena.reap_if_due();
}

void Transaction::confine(std::uint32_t stripe) noexcept {
  if (control_.journal_count != 0) return;
  leave_stripe();
  stripe_ = &control_.stripes[stripe];
  store_relaxed<std::uint64_t>(stripe_, *stripe_ + 1);
  std::atomic_thread_fence(std::memory_order_release);
}

void Transaction::leave_stripe() noexcept {
  if (stripe_ == nullptr) return;
  __atomic_store_n(stripe_, *stripe_ + 1, __ATOMIC_RELEASE);
  stripe_ = nullptr;
}

void Transaction::record(const void* word) {
  const std::uint64_t count = control_.journal_count;
  if (count + reserved_ >= kJournalEntries) throw std::logic_error("a transaction outgrew its journal");
  if (count == 0) {
    store_relaxed<std::uint64_t>(&control_.sequence, control_.sequence + 1);
    if (stripe_ == nullptr) store_relaxed<std::uint64_t>(&control_.wide_sequence, control_.wide_sequence + 1);
    std::atomic_thread_fence(std::memory_order_release);
  }
  const auto offset = static_cast<std::uint64_t>(static_cast<const std::byte*>(word) - part_.arena().base());
  control_.journal[count] = {offset, load64(word)};
  compiler_fence();
  store_relaxed<std::uint64_t>(&control_.journal_count, count + 1);
  compiler_fence();
}

void Transaction::store64(void* address, std::uint64_t value) {
  record(address);
  store_relaxed<std::uint64_t>(address, value);
}

void Transaction::store32(void* address, std::uint32_t value) {
  record(reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(address) & ~std::uintptr_t{7}));
  store_relaxed<std::uint32_t>(address, value);
}

void Transaction::write(void* address, const void* from, std::size_t bytes) {
  auto* to = static_cast<std::byte*>(address);
  const auto* source = static_cast<const std::byte*>(from);
  while (bytes != 0) {
    const std::size_t misaligned = reinterpret_cast<std::uintptr_t>(to) % 8;
    const std::size_t step = bytes < 8 - misaligned ? bytes : 8 - misaligned;
    std::byte* const word_at = to - misaligned;
    const std::uint64_t old_word = load64(word_at);
    std::uint64_t new_word = old_word;
    std::memcpy(reinterpret_cast<std::byte*>(&new_word) + misaligned, source, step);
    if (new_word != old_word) store64(word_at, new_word);
    to += step, source += step, bytes -= step;
  }
}

void Transaction::commit() noexcept {
  if (freed_count_ != 0) give_back();
  if (control_.journal_count == 0) return leave_stripe();
  compiler_fence();
  store_relaxed<std::uint64_t>(&control_.journal_count, 0);  // the commit point
  __atomic_store_n(&control_.sequence, control_.sequence + 1, __ATOMIC_RELEASE);
  if (stripe_ == nullptr) __atomic_store_n(&control_.wide_sequence, control_.wide_sequence + 1, __ATOMIC_RELEASE);
  leave_stripe();
  if (++control_.transactions % kReapInterval == 0 && control_.pins.records != 0) part_.arena().reap_soon();
}

void Transaction::rollback() noexcept {
  forget_freed();
  part_.undo();
  leave_stripe();
}

std::size_t Transaction::journal_room() const noexcept { return kJournalEntries - control_.journal_count - reserved_; }

Ref Transaction::allocate(std::size_t bytes) { return allocate_block(*this, bytes); }

void Transaction::free(Ref block) {
  if (control_.pins.records != 0 && pins::pinned(*this, block)) return pins::make_orphan(*this, block);
  const std::size_t entries = journal_for_free(part_, block, freed_count_);
  if (freed(block)) throw std::logic_error("free of a block that this step has freed already");
  if (journal_room() < entries) throw std::logic_error("a transaction outgrew its journal");
  if (freed_count_ < kFewBlocks) {
    few_freed_[freed_count_] = block;
  } else {
    more_freed_.push_back(block);
  }
  ++freed_count_;
  reserved_ += entries;
}

bool Transaction::freed(Ref block) const noexcept {
  const Ref* const few_end = few_freed_ + std::min(freed_count_, kFewBlocks);
  return std::find(few_freed_, few_end, block) != few_end ||
         std::find(more_freed_.begin(), more_freed_.end(), block) != more_freed_.end();
}

void Transaction::give_back() {
  reserved_ = 0;
  for (std::size_t i = 0; i < std::min(freed_count_, kFewBlocks); ++i) free_block(*this, few_freed_[i]);
  for (const Ref block : more_freed_) free_block(*this, block);
  forget_freed();
}

void Transaction::forget_freed() noexcept {
  freed_count_ = reserved_ = 0;
  more_freed_.clear();
}

std::size_t Transaction::block_bytes(Ref block) const noexcept { return allocated_bytes(part_, block); }

}  // namespace kv
