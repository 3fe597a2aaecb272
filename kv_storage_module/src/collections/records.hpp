// Index entries of schema collections: their value is a RecordRef.
#pragma once

#include "collections/entries.hpp"
#include "collections/slabs.hpp"

namespace kv {

[[nodiscard]] inline Value record_value(const RecordRef& at) noexcept {
  return {ValueType::kRecord, {reinterpret_cast<const char*>(&at), sizeof at}};
}

// Where the record of an entry lies. In a section it may be garbage: bounds are checked by who follows it.
[[nodiscard]] inline RecordRef record_of_entry(const Part& part, Ref entry) noexcept {
  const std::byte* at = part.at(entry, kEntryHeaderBytes);
  const EntryHeader header = EntryHeader::load(at);
  RecordRef found{};
  if (header.type == ValueType::kRecord && header.value_bytes == sizeof found &&
      part.contains(entry, header.total_bytes())) {
    copy_out(&found, at + header.value_offset(), sizeof found);
  }
  return found;
}

namespace records {

// One transaction each, logged.
// A new record in a new slot, or the old one overwritten in place. True = the key was new.
bool put(Transaction& txn, CollectionRoot& root, std::uint64_t hash, ByteView key, const void* record,
         std::uint64_t due_ms);
// True = there was one that had not expired.
bool erase(Transaction& txn, CollectionRoot& root, std::uint64_t hash, ByteView key);

}  // namespace records
}  // namespace kv
