// Sorting many keys by byte, in runs that are then merged.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kv_storage/bytes.hpp"

namespace kv {

// A key in somebody's memory and the record it belongs to.
struct RowKey {
  const char* bytes;
  std::uint32_t size;
  std::uint32_t row;

  [[nodiscard]] ByteView view() const noexcept { return {bytes, size}; }
};

// Sorts by key, equal keys in no particular order. Multikey quicksort that looks at eight bytes at a time and keeps
// them beside the reference (J. Bentley, R. Sedgewick: "Fast algorithms for sorting and searching strings", 1997),
// because fetching a key from memory costs more than many comparisons.
void sort_keys(std::span<RowKey> keys);

// Walks several sorted runs as one, in order, with the keys of the next rows on their way from memory.
class RunMerger {
 public:
  explicit RunMerger(std::vector<std::span<const RowKey>> runs);
  // Null at the end.
  [[nodiscard]] const RowKey* next() noexcept;

 private:
  std::vector<std::span<const RowKey>> runs_;
};

}  // namespace kv
