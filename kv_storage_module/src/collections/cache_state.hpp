// What a cache has in a part beyond what every collection has: two queues of its entries, a budget in bytes, and what
// the policy needs to choose who leaves (collections/eviction.hpp). Off the public path: see kv_storage/cache.hpp.
//
//   CollectionRoot::cache -> CacheState
//     queues[small]  oldest <-> entry <-> entry <-> newest     EntryLinks behind each entry
//     queues[main]   oldest <-> ...
//     side    hit counters, which readers write     ghost   fingerprints of keys evicted lately
//     leases  keys being computed, and by whom (collections/lease_record.hpp)
//
// Entries are found through the look-aside table alone. A cache needs no order and may forget, so it has no key index:
// the table grows when it has no room for an entry, and one that it lost all the same, for lack of memory or while a
// large table was filled, is out of reach and leaves by its queue like any other. Only the queues decide what is in the
// cache; they change under Transaction, and are what verify() walks.
//
// Readers write counters after their section, when the block may belong to something else already. So a side table is
// never given back to the allocator: it stays in the part's list and serves the next cache.
#pragma once

#include <cstdint>
#include <functional>

#include "collections/roots.hpp"
#include "index/entry.hpp"

namespace kv {

enum class QueueKind : std::uint32_t { kSmall = 0, kMain = 1 };
inline constexpr QueueKind kQueueKinds[] = {QueueKind::kSmall, QueueKind::kMain};

struct EntryQueue {
  Ref oldest;
  Ref newest;
  std::uint64_t bytes;  // of the blocks of its entries
};

struct CacheState {
  std::uint64_t capacity;  // bytes, of this part
  EntryQueue queues[2];    // by QueueKind
  std::uint64_t evictions;
  std::uint64_t expirations;
  std::uint64_t refused;  // values that were not stored: larger than the cache, or no memory left
  std::uint64_t tickets;  // leases given out
  Ref side;
  Ref ghost;
  Ref leases;  // list
  std::uint32_t ghost_buckets;

  [[nodiscard]] EntryQueue& queue(QueueKind kind) noexcept { return queues[static_cast<std::uint32_t>(kind)]; }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return load64(&queues[0].bytes) + load64(&queues[1].bytes); }
};

// Behind each entry of a cache, 8-aligned.
struct EntryLinks {
  Ref older;
  Ref newer;
  std::uint32_t queue;  // QueueKind
  std::uint32_t tag;    // of the key's hash
};
[[nodiscard]] constexpr std::size_t links_offset(std::size_t entry_bytes) noexcept { return (entry_bytes + 7) / 8 * 8; }

// Written by readers without a lock, relaxed: two that collide may lose a count, and nothing else. Hits and misses are
// exact.
struct CacheSide {
  static constexpr std::uint32_t kStripes = 8;  // processes count in different lines
  struct Stripe {
    alignas(64) std::uint64_t hits;
    std::uint64_t misses;
  };

  std::uint64_t counter_bytes;  // four counters of 2 bits in each
  Ref next;
  std::uint32_t serial;  // of the collection that uses it; 0 = none
  std::uint32_t wake;    // a futex: moves whenever a lease ends
  Stripe stripes[kStripes];

  // The counter of a tag: the byte that holds it, and where in it.
  struct Place {
    std::byte* byte;
    unsigned shift;
  };
  [[nodiscard]] Place place(std::uint32_t tag) const noexcept {
    constexpr std::uint64_t kSpread = 0x9e3779b97f4a7c15;
    const std::uint64_t mixed = tag * kSpread;
    const std::uint64_t at = ((mixed >> 32) * load64(&counter_bytes)) >> 32;
    auto* first = const_cast<std::byte*>(reinterpret_cast<const std::byte*>(this + 1));
    return {first + at, static_cast<unsigned>(mixed >> 8 & 3) * 2};
  }
};

namespace cache_state {

[[nodiscard]] inline const CacheState& of(const Part& part, const CollectionRoot& root) noexcept {
  return *reinterpret_cast<const CacheState*>(part.at(load32(&root.cache), sizeof(CacheState)));
}
[[nodiscard]] inline CacheState& of(Transaction& txn, const CollectionRoot& root) noexcept {
  return *reinterpret_cast<CacheState*>(txn.fresh(root.cache));
}
// For the holder of the lock, and for readers once their section was validated.
[[nodiscard]] inline CacheSide& side_at(const Part& part, Ref side) noexcept {
  return *reinterpret_cast<CacheSide*>(part.slice() + std::uint64_t{side} * kGranule);
}

// Makes the state of an empty cache. Within a step; throws Error{kOverCapacity}.
void make(Transaction& txn, CollectionRoot& root, std::uint64_t capacity);
// Makes the state of an emptied cache, whose former root is `old`: capacity, statistics and leases go on.
void inherit(Transaction& txn, CollectionRoot& root, CollectionRoot& old);
// Changes the capacity, and exchanges the side table for a larger one if it has become too small. Within a step.
void set_capacity(Transaction& txn, CollectionRoot& root, std::uint64_t capacity);

[[nodiscard]] EntryLinks& links(Transaction& txn, Ref entry) noexcept;
// Puts a new entry at the end of a queue and into the due index, and counts it. Within the step that publishes it.
void push(Transaction& txn, CollectionRoot& root, Ref entry, QueueKind kind, std::uint32_t tag);
// Takes an entry out of its queue, the look-aside and the due index, and counts; the caller frees it within the same
// step.
void remove(Transaction& txn, CollectionRoot& root, Ref entry);
// The same for one whose time has come, freed as well.
void expire(Transaction& txn, CollectionRoot& root, Ref entry);
// To the end of the main queue.
void move_to_main(Transaction& txn, CollectionRoot& root, Ref entry);

// Frees some of what a detached cache holds, a step that the caller commits; false = there is nothing left.
bool free_some(Transaction& txn, CollectionRoot& root, std::size_t entries);

// For verify(), under the lock.
void for_each_entry(const Part& part, const CollectionRoot& root, const std::function<void(Ref, QueueKind)>& visit);
void for_each_block(const Part& part, const CollectionRoot& root, const std::function<void(Ref)>& visit);  // the others
void for_each_side(const Part& part, const std::function<void(Ref)>& visit);

}  // namespace cache_state
}  // namespace kv
