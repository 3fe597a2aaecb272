#include "index/lookaside.hpp"

#include <algorithm>
#include <bit>

#include "kv_storage/error.hpp"

namespace kv {
namespace {

constexpr std::size_t kNextOffset = 4;
constexpr std::size_t kWord = sizeof(std::uint64_t);  // a slot
constexpr std::size_t kTagOffset = 4;                 // in it, little endian
constexpr std::uint64_t kMinEntries = 32;  // the index finds one of fewer in less time than a line of DRAM takes

// Entries to a bucket of 8. At the maximum a hit reads 1.13 lines beside the entry, and 0.4 % of the entries miss, as
// what is overwritten stays so when the table grows (simulated with 2 M random hashes).
constexpr double kMaxLoad = 6.4;
constexpr double kLoadAfterResize = 5.1;       // so 10 to 12.5 bytes an entry
constexpr double kSmallLoadAfterResize = 3.2;  // small tables may double: fewer passes, and no bytes to speak of
constexpr std::uint64_t kSmallEntries = 16 * 1024;
constexpr double kMinLoad = 1.0;

std::uint32_t wanted_buckets(std::uint64_t entries) noexcept {
  const double load = entries < kSmallEntries ? kSmallLoadAfterResize : kLoadAfterResize;
  return static_cast<std::uint32_t>(std::min(static_cast<double>(entries) / load + 1, 4e9));
}

// Buckets are aligned to cache lines by hand, as small blocks are not; slices are, so any process gets the same result.
std::uint64_t bucket_offset(Ref table) noexcept { return (std::uint64_t{table} * kGranule + 8 + 63) / 64 * 64; }
std::uint64_t table_bytes(std::uint32_t buckets) noexcept {
  return 64 + (std::uint64_t{buckets} + Lookaside::kProbes - 1) * Lookaside::kBucketBytes;
}

bool has_free_slot(const std::byte* slots) noexcept {
  for (unsigned i = 0; i < Lookaside::kSlots; ++i) {
    if (load64(slots + i * kWord) == 0) return true;
  }
  return false;
}

std::uint64_t slot_word(std::uint32_t tag, Ref entry) noexcept { return std::uint64_t{tag} << 32 | entry; }

Ref allocate_table(Transaction& txn, std::uint32_t buckets) {
  const Ref table = txn.allocate(table_bytes(buckets));
  store_relaxed<std::uint64_t>(txn.fresh(table), buckets);  // and no next table
  return table;
}

void zero_buckets(Transaction& txn, Ref table, std::uint32_t buckets) noexcept {
  std::byte* const first = txn.part().slice() + bucket_offset(table);
  for (std::uint64_t at = 0; at < table_bytes(buckets) - 64; at += 8) {
    store_relaxed<std::uint64_t>(first + at, 0);
  }
}

// What a process left that died while it resized.
void free_next(Transaction& txn, Ref table) {
  const Ref next = load32(txn.at(table) + kNextOffset);
  if (next == kNullRef) return;
  txn.store32(table, kNextOffset, kNullRef);
  txn.free(next);
}

}  // namespace

Lookaside::Lookaside(const Part& part, Ref table) noexcept : part_(part) {
  if (table == kNullRef) return;
  const std::uint32_t buckets = load32(part.at(table, 8));
  if (!part.contains(table, table_bytes(buckets))) return;
  first_bucket_ = part.slice() + bucket_offset(table);
  buckets_ = buckets;
}

template <class Accept>
Ref Lookaside::search(std::uint32_t tag, Accept&& accept) const noexcept {
  if (buckets_ == 0) return kNullRef;
  const std::byte* slots = bucket(home(tag));
  for (unsigned probe = 0; probe < kProbes; ++probe, slots += kBucketBytes) {
    // All tags first: where in the bucket a key lies is anybody's guess, also the branch predictor's.
    unsigned fitting = 0;
#pragma GCC unroll 8
    for (unsigned i = 0; i < kSlots; ++i) {
      fitting |= static_cast<unsigned>(load32(slots + i * kWord + kTagOffset) == tag) << i;
    }
    for (; fitting != 0; fitting &= fitting - 1) {
      const Ref entry = entry_in(slots + static_cast<unsigned>(std::countr_zero(fitting)) * kWord, tag);
      if (entry != kNullRef && accept(entry)) return entry;
    }
    if (has_free_slot(slots)) break;
  }
  return kNullRef;
}

Ref Lookaside::find(std::uint64_t hash, ByteView key) const noexcept {
  return search(tag_of_hash(hash), [&](Ref entry) {
    __builtin_prefetch(part_.at(entry, 2 * kBucketBytes) + kBucketBytes);  // the value's, while the key is awaited
    return entry_has_key(part_, entry, key);
  });
}

Ref Lookaside::candidate(std::uint64_t hash) const noexcept {
  return search(tag_of_hash(hash), [](Ref) { return true; });
}

std::byte* Lookaside::free_slot(std::uint32_t number) const noexcept {
  for (unsigned i = 0; i < kSlots; ++i) {
    if (load64(bucket(number) + i * kWord) == 0) return bucket(number) + i * kWord;
  }
  return nullptr;
}

// Where the tag would go; null: all buckets it may lie in are full.
std::byte* Lookaside::room_for(std::uint32_t tag) const noexcept {
  std::byte* slot = nullptr;
  for (unsigned probe = 0; probe < kProbes && slot == nullptr; ++probe) slot = free_slot(home(tag) + probe);
  return slot;
}

void Lookaside::insert(std::uint64_t hash, Ref entry) const noexcept {
  if (buckets_ != 0) insert_word(slot_word(tag_of_hash(hash), entry));
}

void Lookaside::insert_word(std::uint64_t word) const noexcept {
  const auto tag = static_cast<std::uint32_t>(word >> 32);
  std::byte* slot = room_for(tag);
  if (slot == nullptr) slot = bucket(home(tag)) + tag % kSlots * kWord;
  // Release: whoever sees the slot sees the commit before it, and thus notices that the part has changed.
  __atomic_store_n(reinterpret_cast<std::uint64_t*>(slot), word, __ATOMIC_RELEASE);
}

void Lookaside::insert_words(std::span<const std::uint64_t> words) const noexcept {
  constexpr std::size_t kAhead = 24;  // lines on their way from memory
  if (buckets_ == 0) return;
  const auto home_of = [&](std::uint64_t word) { return home(static_cast<std::uint32_t>(word >> 32)); };
  const auto put = [&](std::uint64_t word) {
    std::byte* at = bucket(home_of(word));
    for (unsigned i = 0; i < kProbes * kSlots; ++i, at += kWord) {
      std::uint64_t free = 0;
      if (load64(at) == free && __atomic_compare_exchange_n(reinterpret_cast<std::uint64_t*>(at), &free, word, false,
                                                            __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        return;
      }
    }
    insert_word(word);  // which puts it in another's place
  };
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i + kAhead < words.size()) __builtin_prefetch(bucket(home_of(words[i + kAhead])), 1);
    put(words[i]);
  }
}

void Lookaside::remove(std::uint64_t hash, Ref entry) const noexcept {
  if (buckets_ == 0) return;
  const std::uint32_t first = home(tag_of_hash(hash));
  while (remove_one(first, entry)) {  // twice if a process died while it moved the slot
  }
}

bool Lookaside::remove_one(std::uint32_t first, Ref entry) const noexcept {
  for (std::uint32_t number = first; number < first + kProbes; ++number) {
    const bool full = free_slot(number) == nullptr;
    for (unsigned i = 0; i < kSlots; ++i) {
      std::byte* const slot = bucket(number) + i * kWord;
      if (static_cast<Ref>(load64(slot)) != entry) continue;
      vacate(number, slot);
      return true;
    }
    if (!full) return false;
  }
  return false;
}

// A slot of a bucket that is full must not just be emptied, if others had to go to later buckets because of it: one of
// them takes its place, whose own slot is vacated likewise. Each is overwritten or emptied by one store, so a death in
// between leaves a slot twice, but never one behind a hole, where neither search nor removal would look.
void Lookaside::vacate(std::uint32_t number, std::byte* slot) const noexcept {
  while (free_slot(number) == nullptr) {
    std::uint32_t later = number;
    std::byte* const moved = overflow_of(number, later);
    if (moved == nullptr) break;
    __atomic_store_n(reinterpret_cast<std::uint64_t*>(slot), load64(moved), __ATOMIC_RELEASE);
    slot = moved;
    number = later;
  }
  store_relaxed<std::uint64_t>(slot, 0);
}

// A slot of the nearest later bucket that would rather lie in bucket `number` or before; null if there is none.
std::byte* Lookaside::overflow_of(std::uint32_t number, std::uint32_t& later) const noexcept {
  const std::uint32_t end = std::min(number + kProbes, buckets_ + kProbes - 1);
  for (later = number + 1; later < end; ++later) {
    for (unsigned i = 0; i < kSlots; ++i) {
      std::byte* const slot = bucket(later) + i * kWord;
      const std::uint64_t word = load64(slot);
      if (word != 0 && home(static_cast<std::uint32_t>(word >> 32)) <= number) return slot;
    }
    if (free_slot(later) != nullptr) return nullptr;
  }
  return nullptr;
}

bool lookaside_wants_resize(std::uint32_t buckets, std::uint64_t entries) noexcept {
  if (buckets == 0) return entries >= kMinEntries;
  const double load = static_cast<double>(entries) / buckets;
  return load > kMaxLoad || load < kMinLoad;
}

void resize_lookaside(Transaction& txn, void* table_word, std::uint64_t entries) {
  const Ref old = load32(table_word);
  if (entries < kMinEntries) return free_lookaside(txn, table_word);
  const std::uint32_t buckets = wanted_buckets(entries);
  try {
    if (old == kNullRef) {
      const Ref table = allocate_table(txn, buckets);
      zero_buckets(txn, table, buckets);
      txn.store32(table_word, table);
      txn.commit();
      return;
    }
    free_next(txn, old);
    txn.commit();
    const Ref table = allocate_table(txn, buckets);
    txn.store32(old, kNextOffset, table);
    txn.commit();

    zero_buckets(txn, table, buckets);
    const Lookaside larger(txn.part(), table);
    Lookaside(txn.part(), old).for_each([&](std::uint32_t tag, Ref entry) {
      larger.insert_word(slot_word(tag, entry));
    });

    txn.store32(table_word, table);
    txn.free(old);
    txn.commit();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kOverCapacity) throw;
    txn.rollback();
  }
}

void free_lookaside(Transaction& txn, void* table_word) {
  const Ref table = load32(table_word);
  if (table == kNullRef) return;
  free_next(txn, table);
  txn.store32(table_word, kNullRef);
  txn.free(table);
  txn.commit();
}

}  // namespace kv
