// The look-aside: a hash table beside the key index that answers most point look-ups with one cache line and the entry.
//
//   block   {buckets, next table, padding to 64} bucket 0, bucket 1, ...
//   bucket  one cache line: 8 slots of {tag: 32 bits of the key's hash, reference to the entry: 32 bits}, 0 = free
//
// A hash has a home bucket; while that is full, the next ones are used, up to kProbes (linear probing by bucket: Knuth,
// TAOCP vol. 3, 6.4). All buckets between home and slot are full, so a search ends at the first that is not; removing
// restores this by moving a later slot up.
//
// The table may miss, but never lies:
//   - slots are single words, stored without journal; if kProbes buckets are full, one slot is overwritten. Who misses
//     asks the index.
//   - an entry's slot is removed *before* the commit of the transaction that unlinks the entry, and made *after* the
//     commit that publishes it, both under the part lock. So a slot never leads to a block that is not a live entry; a
//     rollback or a death in between costs a miss.
//   - who finds a slot compares kind and key of the entry.
// So who takes a slot's word in one load has an entry that was live at that instant, of the key's stripe
// (memory/part.hpp): the table may be searched by `Part::read_stripe`.
// Since slots hold 32 hash bits, growing is one pass over the old table, in bucket order on both sides.
#pragma once

#include <cstdint>
#include <span>

#include "index/entry.hpp"
#include "index/key_hash.hpp"
#include "memory/transaction.hpp"

namespace kv {

// A view of the table `table`, which may be null (every look-up misses) or, in a section, garbage.
class Lookaside {
 public:
  static constexpr unsigned kSlots = 8;
  static constexpr std::size_t kBucketBytes = 64;
  static constexpr unsigned kProbes = 8;

  Lookaside(const Part& part, Ref table) noexcept;

  [[nodiscard]] std::uint32_t buckets() const noexcept { return buckets_; }

  // Safe in a section.
  void prefetch(std::uint64_t hash) const noexcept {
    if (buckets_ != 0) __builtin_prefetch(bucket(home(tag_of_hash(hash))));
  }
  // The entry with this key, or null, which does not mean that there is none.
  [[nodiscard]] Ref find(std::uint64_t hash, ByteView key) const noexcept;
  // The first entry with a fitting tag, unverified: to prefetch what `find` will compare.
  [[nodiscard]] Ref candidate(std::uint64_t hash) const noexcept;

  // Under the lock; see above for when.
  void insert(std::uint64_t hash, Ref entry) const noexcept;
  // Whether inserting would overwrite no slot. There is a table.
  [[nodiscard]] bool has_room(std::uint32_t tag) const noexcept { return room_for(tag) != nullptr; }
  void remove(std::uint64_t hash, Ref entry) const noexcept;
  // What a slot holds for an entry.
  [[nodiscard]] static std::uint64_t word_of(std::uint64_t hash, Ref entry) noexcept {
    return std::uint64_t{tag_of_hash(hash)} << 32 | entry;
  }
  // Puts many words into a table that nobody else knows yet; several threads may, without the lock.
  void insert_words(std::span<const std::uint64_t> words) const noexcept;
  // Calls `slot(tag, entry)` for each used slot.
  template <class Function>
  void for_each(Function&& slot) const {
    if (buckets_ == 0) return;
    for (std::uint64_t i = 0; i < std::uint64_t{buckets_ + kProbes - 1} * kSlots; ++i) {
      const std::uint64_t word = load64(first_bucket_ + i * sizeof(std::uint64_t));
      if (word != 0) slot(static_cast<std::uint32_t>(word >> 32), static_cast<Ref>(word));
    }
  }

 private:
  friend void resize_lookaside(Transaction& txn, void* table_word, std::uint64_t entries);

  [[nodiscard]] std::uint32_t home(std::uint32_t tag) const noexcept { return fast_range(tag, buckets_); }
  [[nodiscard]] std::byte* bucket(std::uint32_t number) const noexcept {
    return first_bucket_ + std::size_t{number} * kBucketBytes;
  }
  [[nodiscard]] std::byte* free_slot(std::uint32_t number) const noexcept;
  void insert_word(std::uint64_t word) const noexcept;
  [[nodiscard]] std::byte* room_for(std::uint32_t tag) const noexcept;
  bool remove_one(std::uint32_t first, Ref entry) const noexcept;
  void vacate(std::uint32_t number, std::byte* slot) const noexcept;
  [[nodiscard]] std::byte* overflow_of(std::uint32_t number, std::uint32_t& later) const noexcept;
  // Of a slot whose tag was seen to fit: null if it does no longer.
  [[nodiscard]] static Ref entry_in(const std::byte* slot, std::uint32_t tag) noexcept {
    const auto word = __atomic_load_n(reinterpret_cast<const std::uint64_t*>(slot), __ATOMIC_ACQUIRE);
    return static_cast<std::uint32_t>(word >> 32) == tag ? static_cast<Ref>(word) : kNullRef;
  }
  template <class Accept>
  [[nodiscard]] Ref search(std::uint32_t tag, Accept&& accept) const noexcept;

  const Part& part_;
  std::byte* first_bucket_ = nullptr;
  std::uint32_t buckets_ = 0;  // that can be a home; kProbes - 1 more follow
};

// Whether a table of so many buckets should be resized for `entries` entries: over-full, or nearly empty.
[[nodiscard]] bool lookaside_wants_resize(std::uint32_t buckets, std::uint64_t entries) noexcept;

// Makes the table at `table_word` (null: none yet) the right size for `entries` entries, none if that is few. Call it
// with nothing uncommitted: it commits steps of its own, and fills the new table between two of them, so that readers
// go on meanwhile. Without memory for it the table stays as it is.
void resize_lookaside(Transaction& txn, void* table_word, std::uint64_t entries);

// Frees the table at `table_word`.
void free_lookaside(Transaction& txn, void* table_word);

// Calls `block(ref)` for the blocks of the table: two if a process died while it resized.
template <class Function>
void for_each_lookaside_block(const Part& part, Ref table, Function&& block) {
  if (table == kNullRef) return;
  block(table);
  const Ref next = load32(part.at(table, 8) + 4);
  if (next != kNullRef) block(next);
}

}  // namespace kv
