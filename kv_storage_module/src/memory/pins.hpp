// Pins: which process keeps which block readable.
//
// Each part has one open-addressing table of records {block, slot, orphan, count}, hashed by block, in a block of the
// arena. A block that is freed while pinned becomes an orphan: unreachable, unchanged, freed by its last unpin. All
// functions run inside a transaction, so a pin and the block it protects are never out of step.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "memory/transaction.hpp"

namespace kv::pins {

// O(1). May grow the table: throws Error{kOverCapacity}.
void pin(Transaction& txn, Ref block, std::uint32_t slot);
// Undoes one pin. Frees the block if it is an orphan and this was the last pin of all processes.
void unpin(Transaction& txn, Ref block, std::uint32_t slot);
[[nodiscard]] bool pinned(Transaction& txn, Ref block) noexcept;
// The owner of a pinned block gave it back: keep it until the last unpin.
void make_orphan(Transaction& txn, Ref block);

// Releases all pins of a slot, committing in steps.
void release_slot(Transaction& txn, std::uint32_t slot);
// Gives `to` the pins of `from`.
void copy_slot(Transaction& txn, std::uint32_t from, std::uint32_t to);
// Doubles the counts of `slot`: two processes share it from now on (fallback when copy_slot finds no memory).
void double_counts(Transaction& txn, std::uint32_t slot);

struct Record {
  Ref block;
  std::uint32_t slot;
  bool orphan;
  std::uint64_t count;
};
// All records. Under the part lock.
[[nodiscard]] std::vector<Record> records(const Part& part);

}  // namespace kv::pins
