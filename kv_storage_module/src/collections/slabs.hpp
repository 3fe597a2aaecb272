// Slabs: contiguous arrays of fixed-size records ("fixed micro-copy").
//
//   SlabHeader | used bitmap | taken bitmap | padding to 64 | records...
//
// `used` says which slots hold a record, and is what RecordHash::slabs() shows. `taken` says which slots may not be
// handed out: the used ones, and those freed while somebody had the slab pinned. A slab is always a large block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "collections/roots.hpp"
#include "memory/transaction.hpp"

namespace kv {

struct SlabHeader {
  Ref prev, next;            // among all slabs of the collection
  Ref prev_open, next_open;  // among those with a slot that is not taken
  std::uint32_t record_bytes;
  std::uint32_t slots;
  std::uint32_t taken;     // slots
  std::uint32_t hint;      // no free slot in the bitmap words before this one
  std::uint32_t used;      // slots
  std::uint32_t deferred;  // slots freed while the slab was pinned, still taken
  std::uint32_t records_offset;
  std::uint32_t reserved;

  [[nodiscard]] std::size_t bitmap_words() const noexcept { return (slots + 63) / 64; }
};

// The value of an index entry: where the record lies, and in which slab.
struct RecordRef {
  Ref record;
  Ref slab;
};

namespace slabs {

// A slot for one record, in an open slab or a new one. The record's bytes are undefined and private to the caller until
// it publishes the reference. Throws Error{kOverCapacity}.
[[nodiscard]] RecordRef allocate(Transaction& txn, CollectionRoot& root);
void free(Transaction& txn, CollectionRoot& root, RecordRef at);

// A slab with exactly `slots` slots, all of them used, records undefined: for bulk loading into a hidden collection.
// Answers the first record; the others follow it.
[[nodiscard]] RecordRef reserve(Transaction& txn, CollectionRoot& root, std::uint32_t slots);

// Frees the first slab of a detached collection; false = there is none. One transaction step.
bool free_one(Transaction& txn, CollectionRoot& root);

// All slabs of a collection, oldest first. Under the lock.
[[nodiscard]] std::vector<Ref> all(const Part& part, const CollectionRoot& root);

[[nodiscard]] inline const SlabHeader& header(const Part& part, Ref slab) noexcept {
  return *reinterpret_cast<const SlabHeader*>(part.slice() + std::uint64_t{slab} * kGranule);
}
[[nodiscard]] inline const std::uint64_t* used_bitmap(const SlabHeader& slab) noexcept {
  return reinterpret_cast<const std::uint64_t*>(&slab + 1);
}

}  // namespace slabs
}  // namespace kv
