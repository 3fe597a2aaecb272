// What tests ask a whole store: its keys, whether it is sound, what it takes.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kv_storage/hash.hpp"
#include "kv_storage/store.hpp"
#include "store/store_impl.hpp"
#include "support/memory_check.hpp"

namespace kv::test {

inline Value bytes_value(ByteView bytes) { return {ValueType::kBytes, bytes}; }

inline std::optional<std::string> get(const Hash& hash, const std::string& key) {
  ValueBuffer buffer;
  if (!hash.get(key, buffer)) return std::nullopt;
  return std::string(buffer.bytes());
}

inline std::vector<std::string> keys_of(const Hash& hash, const KeyRange& range = {}, bool reverse = false) {
  std::vector<std::string> keys;
  Scan scan = hash.scan(range, false, reverse);
  for (ScanPage page; scan.next(page);) {
    for (const ScanPage::Item& item : page.items) keys.emplace_back(page.key(item));
  }
  return keys;
}

inline void check_sound(const Store& store) {
  for (const std::string& violation : store.verify()) FAIL_CHECK(violation);
}

// Entries in the index, expired ones included, as no public call says.
inline std::uint64_t indexed(const Store& store, Binding binding = kRootBinding) {
  std::uint64_t entries = 0;
  Arena& arena = *store.impl().arena;
  for (std::uint32_t i = 0; i < arena.part_count(); ++i) {
    const Part::Lock lock(arena.part(i));
    if (const CollectionRoot* root = find_root(arena.part(i), binding)) entries += root->entries;
  }
  return entries;
}

inline std::uint64_t used_bytes(const Store& store) {
  std::uint64_t bytes = 0;
  Arena& arena = *store.impl().arena;
  for (std::uint32_t i = 0; i < arena.part_count(); ++i) bytes += arena.part(i).control().allocator.used_bytes;
  return bytes;
}

}  // namespace kv::test
