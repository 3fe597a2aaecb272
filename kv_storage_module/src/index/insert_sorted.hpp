// Inserting many entries at once, in key order: every node they share is visited and rebuilt once instead of once a
// key.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "memory/transaction.hpp"

namespace kv {

inline constexpr std::size_t kSortedBatch = 64;
// Journal entries that must be free for one batch, beside those for allocating its entries.
inline constexpr std::size_t kSortedJournal = 3072;

// Puts up to kSortedBatch entries, blocks of this step with strictly ascending keys, into the index at `root_word`.
// Entries that they replace are appended to `replaced` and belong to the caller, to be freed after this call in the
// same step; one call a step. Throws Error{kOverCapacity}: the step then has to be rolled back.
void insert_sorted(Transaction& txn, void* root_word, std::span<const Ref> entries, std::vector<Ref>& replaced);

}  // namespace kv
