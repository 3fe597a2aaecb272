// Entries by key inside one part: the index, and the look-aside table and the due index kept in step with it.
//
// The order matters (index/lookaside.hpp): an entry leaves the table before the commit that frees it and enters it
// after the commit that publishes it, so whatever instant a process is killed at, the table never leads to freed
// memory.
#pragma once

#include <span>

#include "collections/collection.hpp"
#include "collections/entries.hpp"
#include "index/lookaside.hpp"

namespace kv::keyed {

// The entry with this key that has not expired, or null. Safe in a section.
[[nodiscard]] Ref find_live(const Part& part, const CollectionRoot& root, std::uint64_t hash, ByteView key,
                            CallTime& time) noexcept;
// The same, expired or not.
[[nodiscard]] Ref find(const Part& part, const CollectionRoot& root, std::uint64_t hash, ByteView key) noexcept;

// `entry`, or null if it has expired. Safe in a section.
[[nodiscard]] inline Ref live(const Part& part, Ref entry, CallTime& time) noexcept {
  return entry == kNullRef || entry_expired(part, entry, time) ? kNullRef : entry;
}

// Runs found(part, entry) in a section, with the entry of this key, expired or not, or null. `found` looks at the entry
// and at what belongs to it alone. Writers of other keys do not disturb it while the table has the entry.
template <class Found>
auto read(const HashImpl& collection, std::uint64_t hash, ByteView key, Found&& found) {
  using Result = std::optional<std::invoke_result_t<Found&, const Part&, Ref>>;
  auto result = collection.read_stripe(hash, [&](const Part& part, const CollectionRoot& root) {
    const Ref entry = Lookaside(part, load32(&root.lookaside)).find(hash, key);
    return entry != kNullRef ? Result(std::in_place, found(part, entry)) : Result();
  });
  if (result) return *std::move(result);
  return collection.read_key(
      hash, [&](const Part& part, const CollectionRoot& root) { return found(part, find(part, root, hash, key)); });
}

// Sends for what changing these keys will touch: hints, for the holder of the lock. `hashes` are those of the keys.
void prefetch(const Part& part, const CollectionRoot& root, std::uint64_t hash) noexcept;
void prefetch(const Part& part, const CollectionRoot& root, std::span<const std::uint64_t> hashes,
              std::span<const ByteView> keys) noexcept;

// Puts `entry` under its key; returns the entry that had it (it may have expired), already taken out of the table, or
// null. Counts.
[[nodiscard]] Ref link(Transaction& txn, CollectionRoot& root, std::uint64_t hash, Ref entry);
// Takes the entry of this key out, expired or not; null if there is none. Counts.
[[nodiscard]] Ref unlink(Transaction& txn, CollectionRoot& root, std::uint64_t hash, ByteView key);

// After the commit: enters `entry` into the table, which is made or grown if it has become too small. Growing is a step
// of its own, and not growing for lack of memory is no failure: the index still finds the key.
void remember(Transaction& txn, CollectionRoot& root, std::uint64_t hash, Ref entry) noexcept;

}  // namespace kv::keyed
