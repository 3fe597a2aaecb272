// The distinct texts of a column, numbered from 0 in the order they were added.
//
// A look-up of a random text misses the cache twice: once for its slot, once for the text to compare with. Callers with
// many texts keep a queue of them and say what is coming: hash and prefetch_slot() when a text is queued,
// prefetch_text() for the whole queue, then add() or find().
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "kv_storage/bytes.hpp"

namespace kv::csv {

class Dictionary {
 public:
  Dictionary();

  [[nodiscard]] static std::uint64_t hash(ByteView text) noexcept;
  void prefetch_slot(std::uint64_t hash) const noexcept { __builtin_prefetch(&slots_[hash & mask_]); }
  void prefetch_text(std::uint64_t hash) const noexcept;

  // Numbers `text` if it is new. True = it was.
  bool add(ByteView text) { return add(text, hash(text)); }
  bool add(ByteView text, std::uint64_t hash);
  [[nodiscard]] std::optional<std::uint32_t> find(ByteView text) const noexcept { return find(text, hash(text)); }
  [[nodiscard]] std::optional<std::uint32_t> find(ByteView text, std::uint64_t hash) const noexcept;

  // The text of a number; valid until the next add().
  [[nodiscard]] ByteView text(std::uint32_t code) const noexcept;
  [[nodiscard]] std::vector<ByteView> texts() const;  // in the order of their numbers
  [[nodiscard]] std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(entries_.size()); }
  [[nodiscard]] std::uint64_t text_bytes() const noexcept { return text_bytes_; }

 private:
  // Open addressing with linear probing, at most half full. Small, so that it stays in the cache.
  struct Slot {
    std::uint32_t tag;    // the hash's upper half
    std::uint32_t entry;  // 1 + its place in words_; 0 = free
  };
  // Code and size of a text, followed by its bytes, filled up to whole words.
  struct Entry {
    std::uint32_t code;
    std::uint32_t size;
  };

  [[nodiscard]] std::size_t slot_of(ByteView text, std::uint64_t hash) const noexcept;
  [[nodiscard]] std::size_t free_slot(std::uint64_t hash) const noexcept;
  [[nodiscard]] ByteView text_at(std::uint32_t word) const noexcept;
  std::uint32_t append(ByteView text);
  void grow();

  std::vector<Slot> slots_;  // a power of two
  std::size_t mask_;
  std::vector<std::uint64_t> words_;    // entries end to end
  std::vector<std::uint32_t> entries_;  // by code: place in words_
  std::uint64_t text_bytes_ = 0;
};

}  // namespace kv::csv
