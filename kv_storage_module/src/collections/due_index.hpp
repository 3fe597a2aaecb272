// The due index: which entries of a collection expire, in the order of their due times. One in each part.
//
//   CollectionRoot::due_index    a key index (index/key_index.hpp) of records without value, whose keys are
//     {due time in ms: 8 bytes, big-endian} {reference to the entry: 4 bytes, big-endian}
//
// so the first record is the next entry to expire, and two entries due in the same millisecond differ. There is a
// record for every entry of the collection that has a due time, and none else: who links, unlinks or changes an entry
// keeps the record in step within the same transaction (collections/keyed.cpp), so a record never leads to freed
// memory. It goes to the trash with its collection and is freed with it.
#pragma once

#include <cstdint>
#include <optional>

#include "collections/roots.hpp"

namespace kv::due_index {

// Enters an entry that is part of the collection, or will be by the end of the step; no-op if it has no due time.
// Throws Error{kOverCapacity}: then the step has to be rolled back.
void add(Transaction& txn, CollectionRoot& root, Ref entry);
// Takes its record out; no-op if it has no due time. Never fails for lack of memory.
void remove(Transaction& txn, CollectionRoot& root, Ref entry);

struct Record {
  std::uint64_t due_ms;
  Ref entry;
};
// The next to expire. Under the lock.
[[nodiscard]] std::optional<Record> first(const Part& part, const CollectionRoot& root) noexcept;
// What a record of the index says. Under the lock.
[[nodiscard]] Record decode(const Part& part, Ref record) noexcept;

}  // namespace kv::due_index
