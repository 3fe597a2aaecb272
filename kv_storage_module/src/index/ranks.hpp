// Order statistics in a counted index (index/node.hpp): each visits one path and sums counts that lie side by side.
#pragma once

#include <cstdint>

#include "index/node.hpp"
#include "memory/transaction.hpp"

namespace kv {

// How many entries lie below a counted node, the terminal included. Safe in a section.
[[nodiscard]] std::uint32_t entries_below(const NodeView& node) noexcept;

// How many entries have a key less than `key`. Safe in a section.
[[nodiscard]] std::uint64_t rank_of(const Part& part, Ref root, ByteView key) noexcept;

// The entry with `index` entries before it, or null if there are not so many. Safe in a section; what it returns then
// is an entry whose header and key lie inside the slice.
[[nodiscard]] Ref select(const Part& part, Ref root, std::uint64_t index) noexcept;

// Adds to the counts on the way to `key`, which has an entry. Nothing in an index that is not counted.
void add_to_counts(Transaction& txn, Ref root, ByteView key, std::int32_t difference);

}  // namespace kv
