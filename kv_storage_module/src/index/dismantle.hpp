// Frees a whole index in steps.
#pragma once

#include <cstddef>
#include <functional>

#include "memory/transaction.hpp"

namespace kv {

// Frees about `limit` blocks of the index at `root_word`, which nobody reads any more. `release(entry)` has to free an
// entry and what belongs to it. Returns whether something is left: a tree of nodes and entries that only this function
// can go on with (and verify_index with IndexShape::kDismantled), as nodes with one child are cut out together with
// their part of the path. One call is one step: commit after it. It allocates nothing, ends early if the journal runs
// short, and takes O(limit + depth) time.
bool dismantle_index(Transaction& txn, void* root_word, std::size_t limit, const std::function<void(Ref)>& release);

}  // namespace kv
