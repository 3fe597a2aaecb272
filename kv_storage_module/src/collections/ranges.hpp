// Operations on many keys that are the same for every kind of Hash.
#pragma once

#include "collections/collection.hpp"
#include "collections/scanner.hpp"
#include "kv_storage/hash.hpp"

namespace kv::ranges {

// How many keys the scan visits.
inline std::uint64_t count(Scan scan) {
  std::uint64_t keys = 0;
  for (ScanPage page; scan.next(page);) keys += page.items.size();
  return keys;
}

// Erases them one by one: each is a transaction of its own, and one that is gone by then does not count.
template <class Collection>
std::uint64_t erase(Collection& collection, Scan scan, LogSink* log) {
  WriteBatch batch(log);
  std::uint64_t erased = 0;
  for (ScanPage page; scan.next(page);) {
    for (const ScanPage::Item& item : page.items) erased += collection.erase(page.key(item)) ? 1 : 0;
  }
  batch.settle_all();
  return erased;
}

// Puts empty roots in the place of the old ones, part by part, then frees what they held.
void clear(const HashImpl& collection);

}  // namespace kv::ranges
