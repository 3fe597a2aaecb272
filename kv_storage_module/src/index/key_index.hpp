// The key index: an ordered map from keys to entries, in shared memory. It is one u32 word, the root: null, an entry or
// a node (index/node.hpp). The key of an entry is part of it (index/entry.hpp), so the index stores references only.
//
// Both changes below allocate before they store and free last. A step of a transaction may hold several, as long as
// each has kInsertJournal words of the journal.
#pragma once

#include <cstdint>
#include <span>

#include "index/node.hpp"
#include "memory/transaction.hpp"

namespace kv {

// The entry with this key, or null. Safe in a section; at most key length + 1 steps.
[[nodiscard]] Ref find(const Part& part, Ref root, ByteView key) noexcept;

// Brings the paths of some keys, at most kPathGroup, into the cache, one level of all of them at a time, so that their
// waits for memory overlap. A hint: prefixes are not compared, nothing is answered. Safe in a section.
inline constexpr std::size_t kPathGroup = 32;
void prefetch_paths(const Part& part, Ref root, std::span<const ByteView> keys) noexcept;

// Puts `entry` (a block of the transaction, filled) into the index whose root is the word `root_word`, in place of an
// entry with the same key if there is one, which is returned and belongs to the caller again.
// Allocates nothing in most cases, one node or two in the others. Throws Error{kOverCapacity}; contents are then as
// before. Uses at most kInsertJournal words of the journal, and in a counted index one for each byte of the key.
[[nodiscard]] Ref insert(Transaction& txn, void* root_word, Ref entry, Counting counting = Counting::kOff);

// Unlinks the entry with this key and returns it, or null. Never fails for lack of memory: what cannot be made smaller
// stays as it is.
[[nodiscard]] Ref erase(Transaction& txn, void* root_word, ByteView key);

// The entry with the least key, or null. Under the lock; as many steps as the key has nodes.
[[nodiscard]] Ref first_entry(const Part& part, Ref root) noexcept;

// Bounds of what one insertion or erasure journals, allocator included: see kClassDepth (index/paths.hpp).
inline constexpr std::size_t kInsertJournal = 256;

// The longest key of a counted index: with a count to change in each node on the way, this bounds the journal, too.
inline constexpr std::size_t kMaxCountedKeyBytes = 1024;

// The key of an entry, in shared memory: for the holder of the part lock.
[[nodiscard]] inline ByteView key_of(const Part& part, Ref entry) noexcept {
  const std::byte* at = part.at(entry, kEntryHeaderBytes);
  return {reinterpret_cast<const char*>(at) + kEntryHeaderBytes, EntryHeader::load(at).key_bytes};
}

}  // namespace kv
