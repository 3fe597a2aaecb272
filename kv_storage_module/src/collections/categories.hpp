// Dictionaries of category columns: distinct texts, numbered in the order in which they came: an index text -> code,
// and an array code -> entry of that index (whose key is the text).
//
// Append-only: a text stays as long as the collection does, so a code once handed out is good for good.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "collections/roots.hpp"
#include "memory/transaction.hpp"

namespace kv::categories {

// Code of `text` in the dictionary of `column`, added if absent. Throws Error{kOverCapacity} when `limit` (the largest
// code of the column's width, which stands for "missing") is reached.
std::uint32_t code(Transaction& txn, CollectionRoot& root, std::size_t column, std::size_t columns, ByteView text,
                   std::uint64_t limit);
// Under the lock:
[[nodiscard]] std::optional<std::uint32_t> find(const Part& part, const CollectionRoot& root, std::size_t column,
                                                ByteView text);
[[nodiscard]] std::vector<std::string> texts(const Part& part, const CollectionRoot& root, std::size_t column);
// Frees a part of the dictionaries of a detached collection; false = nothing is left. One transaction step.
bool free_some(Transaction& txn, CollectionRoot& root);

struct Dictionary {
  Ref index;    // text -> code
  Ref entries;  // block of Ref[capacity]: code -> entry
  std::uint32_t count;
  std::uint32_t capacity;
};
// The dictionaries of all columns; empty if none has a text yet. Under the lock.
[[nodiscard]] std::span<const Dictionary> dictionaries(const Part& part, const CollectionRoot& root);

}  // namespace kv::categories
