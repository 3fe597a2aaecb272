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

}  // namespace kv
