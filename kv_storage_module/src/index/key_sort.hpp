// Sorting keys by byte.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
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

// Eight bytes of the key from `depth` on, as a number in the order of keys; zeros past its end.
[[nodiscard]] inline std::uint64_t key_window(ByteView key, std::size_t depth) noexcept {
  static_assert(std::endian::native == std::endian::little);
  constexpr std::size_t kBytes = sizeof(std::uint64_t);
  std::uint64_t word = 0;
  if (depth + kBytes <= key.size()) {
    std::memcpy(&word, key.data() + depth, kBytes);
    return __builtin_bswap64(word);
  }
  if (depth >= key.size()) return 0;
  const std::size_t rest = key.size() - depth;
  if (key.size() < kBytes) {
    std::memcpy(&word, key.data() + depth, rest);
    return __builtin_bswap64(word);
  }
  std::memcpy(&word, key.data() + key.size() - kBytes, kBytes);  // its last bytes, of which some came before
  return __builtin_bswap64(word) << (8 * (kBytes - rest));
}

// Sorts some ten thousand keys at a time, whose bytes fit into the cache. The bits in which they differ, and no others,
// are gathered from each key into one word, which keeps their order: eight digits are 32 bits instead of 64, what all
// keys have in common is none (Y. Kwon et al.: "Compressed Key Sort and Fast Index Reconstruction", 2020). The words
// are sorted by radix; keys with equal words, by what follows. The object holds the memory for it, to be used again.
class KeySorter {
 public:
  // Equal keys in no particular order.
  void sort(std::span<RowKey> keys);

 private:
  static constexpr std::size_t kWindows = 4;  // of eight bytes, looked at together
  static constexpr std::size_t kKeysAtATime = 16;
  using Windows = std::array<std::uint64_t, kWindows>;
  // Bits of a window that go side by side into the word.
  struct Field {
    std::uint8_t window;
    std::uint8_t shift;
    std::uint8_t bits;
  };
  struct Item {
    std::uint64_t word;
    std::uint32_t index;
  };

  void sort_from(std::span<RowKey> keys, std::size_t depth);
  void choose_fields(const Windows& differing);
  void make_items(std::span<const RowKey> keys, std::size_t depth);
  void sort_items(unsigned bits);
  static Windows windows_of(const RowKey& key, std::size_t depth) noexcept;

  std::vector<Field> fields_;
  std::size_t used_windows_ = 0;  // the fields are in the first so many
  std::vector<Item> items_;
  std::vector<Item> other_items_;
  std::vector<RowKey> keys_;
};

}  // namespace kv
