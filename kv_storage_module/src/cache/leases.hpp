// Leases: who computes which key (collections/lease_record.hpp). All under the part lock, in the caller's step.
//
// A lease ends when its holder ends it, or when its process is gone: the next one to ask for the key takes it over, and
// nothing has to be cleaned up first. Who waits sleeps on the futex of the side table, in slices, and looks between
// them whether the holder still lives.
#pragma once

#include "collections/cache_state.hpp"
#include "collections/lease_record.hpp"
#include "memory/arena.hpp"

namespace kv::leases {

// The lease on a key, or null. Safe in no section: under the lock.
[[nodiscard]] Ref find(Transaction& txn, const CacheState& state, std::uint64_t hash) noexcept;
[[nodiscard]] const LeaseRecord& at(const Transaction& txn, Ref lease) noexcept;
// Whether its process is there. Makes a system call.
[[nodiscard]] bool holder_lives(const Arena& arena, const LeaseRecord& lease) noexcept;
[[nodiscard]] bool is_held_by(const Arena& arena, const LeaseRecord& lease, std::uint64_t holder) noexcept;

// Gives the lease to this process, and returns its ticket. `lease` = that of a dead holder, or null: a new one.
// Throws Error{kOverCapacity}.
std::uint64_t grant(Transaction& txn, CacheState& state, Ref lease, std::uint64_t hash, std::uint64_t holder);
// Ends a lease; false = it has been taken over, or the cache was cleared of it.
bool end(Transaction& txn, CacheState& state, std::uint64_t hash, std::uint64_t ticket);

// The futex that moves whenever a lease of the cache in this part ends.
[[nodiscard]] inline std::uint32_t wake_count(const CacheSide& side) noexcept { return load32(&side.wake); }
void wake_all(CacheSide& side) noexcept;
// Sleeps while the futex is `seen`, for at most `ms`. True = it has moved.
bool sleep(const CacheSide& side, std::uint32_t seen, std::uint32_t ms) noexcept;

}  // namespace kv::leases
