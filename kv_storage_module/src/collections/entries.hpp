// Making and reading entries (index/entry.hpp) whole.
#pragma once

#include <string>

#include "index/entry.hpp"
#include "kv_storage/value.hpp"
#include "memory/block_supply.hpp"
#include "memory/transaction.hpp"

namespace kv {

// A new entry, private to the transaction, that expires at `due_ms` (wall clock). Throws Error{kOverCapacity},
// Error{kInvalidArgument} (key or value too long). `behind` = room for so many bytes that belong to the collection,
// 8-aligned behind all else.
[[nodiscard]] Ref make_entry(Transaction& txn, ByteView key, const Value& value, std::uint64_t due_ms = kNeverDue,
                             std::size_t behind = 0);
// The same from a supply of blocks; it never expires.
[[nodiscard]] Ref make_entry(BlockSupply& blocks, ByteView key, const Value& value);
// How many bytes an entry needs, without `behind`.
[[nodiscard]] std::size_t entry_bytes(ByteView key, const Value& value, std::uint64_t due_ms) noexcept;

// Address of a live entry's value. Under the lock, under a pin, or for use in a section whose bounds were checked.
[[nodiscard]] inline const std::byte* entry_value(const Part& part, Ref entry) noexcept {
  const std::byte* at = part.slice() + std::uint64_t{entry} * kGranule;
  return at + EntryHeader::load(at).value_offset();
}

// Key of a live entry. Under the lock.
[[nodiscard]] std::string entry_key(const Part& part, Ref entry);

}  // namespace kv
