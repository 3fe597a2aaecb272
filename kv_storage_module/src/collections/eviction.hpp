// Who leaves a cache when room is needed: S3-FIFO (J. Yang et al.: "FIFO Queues are All You Need for Cache Eviction",
// SOSP 2023) with changes chosen by simulation (docs/decisions/cache-policy.md).
//
//   new key ---------------> small, 10 % of the bytes --- not asked for again ---> out, fingerprint to the ghost
//                                     |  asked for
//   key known to the ghost --> main <-+     main is a CLOCK: oldest first, asked for: round again with one count less
//
// A hit moves nothing. It counts in the side table, by the key's hash and up to 3; who evicts reads the counts there.
#pragma once

#include <cstdint>

#include "collections/cache_state.hpp"

namespace kv::eviction {

// The share of the capacity that new keys pass through, in percent.
inline constexpr std::uint64_t kSmallPercent = 10;
// Entries that may be passed over before one is evicted whatever its count: bounds the work of one eviction.
inline constexpr int kMaxMoves = 64;

// Counts a hit. No lock, no section; `side` was read in a validated one.
inline void count_hit(const CacheSide& side, std::uint32_t tag) noexcept {
  const auto [byte, shift] = side.place(tag);
  const std::uint8_t counters = load8(byte);
  if ((counters >> shift & 3) != 3)
    store_relaxed<std::uint8_t>(byte, static_cast<std::uint8_t>(counters + (1U << shift)));
}

// Evicts one entry, in steps that are committed. Call it with nothing uncommitted. False = the cache is empty.
bool evict_one(Transaction& txn, CollectionRoot& root);

// Which queue a key that is not in the cache goes to; it forgets what it knew of it.
[[nodiscard]] QueueKind queue_for(Transaction& txn, CollectionRoot& root, std::uint32_t tag) noexcept;

// After the commit that stored an entry, and before the look-aside learns of it: lets that grow with the cache, and
// where it has no room for `tag`, for nothing else finds the entry that would be overwritten; and the ghost, in steps.
// Without memory for that they stay as they are.
void tend(Transaction& txn, CollectionRoot& root, std::uint32_t tag) noexcept;

// The store is full: the largest cache of the part gives up about `bytes`. Takes the lock. False = no cache has any.
bool relieve(Part& part, std::uint64_t bytes);

}  // namespace kv::eviction
