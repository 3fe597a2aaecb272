// Expiry: entries that are absent from an instant on (docs/expiry.md).
//
//   - Readers compare: an entry whose due time is past is no entry to them. They write nothing and wait for nobody.
//   - Writers reclaim in passing: whatever they came for, they first free up to kSliceEntries entries of the part that
//     have expired, of whichever collection. While nothing is due that is one compare, and while nothing in the part
//     has a due time not even the clock is read.
//   - What has to count exactly (len, rank, select) runs once nothing of the collection is due: see
//     HashImpl::read_settled.
//
// For other kinds of collections on this index (Map, Set, Cache): put entries made with a due time through keyed::link
// and keyed::unlink, which keep the due index in step, look them up with keyed::find_live, and all of the above
// follows. A kind whose entries own more than their block, or that counts on its own, has its case in release() in
// expiry.cpp.
#pragma once

#include <cstdint>
#include <optional>

#include "collections/roots.hpp"
#include "kv_storage/hash.hpp"
#include "memory/clock.hpp"

namespace kv::expiry {

// Entries that one writer reclaims in passing: more than the one it may add, so that reclaiming keeps up; some 10 us.
inline constexpr std::size_t kSliceEntries = 16;
// Entries that who needs an exact count reclaims before it lets others have the lock.
inline constexpr std::size_t kSettleEntries = 128;

// "Now and so many milliseconds", kNeverDue if `ttl_ms` is 0. Throws Error{kInvalidArgument} beyond kMaxTtlMs.
[[nodiscard]] std::uint64_t due_after(std::uint64_t ttl_ms);

// Whether nothing of the collection is due. Safe in a section.
[[nodiscard]] inline bool settled(const CollectionRoot& root, CallTime& time) noexcept {
  return !time.is_past(load64(&root.next_due_ms));
}

// Frees up to `limit` entries of the collection that are due, a step of the transaction each. Call it with nothing
// uncommitted. False = nothing is due any more.
bool reclaim(Transaction& txn, CollectionRoot& root, CallTime& time, std::size_t limit);

// What every writer does first. `root` is the collection it came for.
void reclaim_slice(Transaction& txn, CollectionRoot& root);
inline void reclaim_in_passing(Transaction& txn, CollectionRoot& root) {
  if (txn.control().expiry.next_due_ms != kNeverDue) [[unlikely]]
    reclaim_slice(txn, root);
}

// The entries of a collection in this part, exactly; 0 if it is gone. Reclaims first what is due, in steps.
[[nodiscard]] std::uint64_t count(Part& part, Binding binding);

// Changes when the entry under `key` expires (kNeverDue: not any more), in place if its block has room for that, else
// in a copy of it. One transaction. False = absent.
bool set_due(Transaction& txn, CollectionRoot& root, std::uint64_t hash, ByteView key, std::uint64_t due_ms);
// The same for "not any more"; false = absent, or it had no due time.
bool persist(Transaction& txn, CollectionRoot& root, std::uint64_t hash, ByteView key);

// What is left to the entry under `key`; nullopt = absent. Safe in a section.
[[nodiscard]] std::optional<TimeToLive> time_left(const Part& part, const CollectionRoot& root, std::uint64_t hash,
                                                  ByteView key, CallTime& time) noexcept;

}  // namespace kv::expiry
