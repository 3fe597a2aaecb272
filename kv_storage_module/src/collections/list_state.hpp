// What makes a collection a List, in its part: CollectionRoot::list leads to one ListState.
//
//   positions   directory (a B+-tree that counts) -> chunks of at most kChunkCodes codes; the last ones are in `tail`
//   values      codes: code -> entry, and buckets: hash -> chain of entries
//
//   ListState --directory--> node [count, child]... --> node --> chunk: 8 bytes of header, codes of 8, 16 or 32 bits
//             --tail-------> chunk with room for codes to be appended
//             --codes------> page of 1,024 references --> entry: a ValueRecord as its key, and the value
//             --buckets----> page of 1,024 references --> first entry of the bucket
//
// A chunk is replaced whole when it changes, but for three cases, if nobody has it pinned: a code that fits its width
// is overwritten, a few codes close a gap, and codes are written behind the last one. Codes behind the length of a
// chunk are nobody's: they are written without the journal. root.entries is the length of the list.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "collections/roots.hpp"
#include "kv_storage/bytes.hpp"
#include "memory/part.hpp"
#include "memory/transaction.hpp"

namespace kv {

inline constexpr std::uint32_t kChunkCodes = 1016;  // with the header 1, 2 or 4 KiB, which are sizes of blocks
inline constexpr std::size_t kChunkHeaderBytes = 8;

struct ChunkHeader {
  std::uint16_t capacity;  // codes
  std::uint8_t width;      // bytes of a code: 1, 2, 4
  std::uint8_t reserved;
  std::uint32_t reserved2;

  static ChunkHeader load(const std::byte* chunk) noexcept {
    const std::uint64_t word = load64(chunk);
    return {static_cast<std::uint16_t>(word), static_cast<std::uint8_t>(word >> 16), 0, 0};
  }
  [[nodiscard]] std::uint64_t encode() const noexcept { return std::uint64_t{capacity} | std::uint64_t{width} << 16; }
};

inline constexpr std::uint32_t kDirectoryFanout = 32;
inline constexpr std::uint32_t kMaxDirectoryHeight = 8;

// A node of the directory. In the lowest one children are chunks, and counts their lengths.
struct DirectoryNode {
  std::uint32_t size;  // children
  std::uint32_t reserved;
  Ref children[kDirectoryFanout];
  std::uint64_t counts[kDirectoryFanout];  // positions below each
};

// An array of references in pages, so that it grows and shrinks in small steps.
inline constexpr std::uint32_t kPageSlots = 1024;
inline constexpr std::uint32_t kFirstSlots = 16;
struct SlotPage {
  Ref slots;           // block of Ref[...], null = no slot of the page is used
  std::uint16_t used;  // of the table of codes: slots that are not null
  std::uint16_t hint;  //   no null slot before this one
};
struct SlotTable {
  Ref pages;  // block of SlotPage[page_capacity]
  std::uint32_t page_capacity;
  std::uint32_t page_count;
  std::uint32_t first_slots;  // of page 0, which begins small; the others have kPageSlots
};

struct ListState {
  Ref directory;         // its root node, null = none
  std::uint32_t height;  // levels of nodes
  Ref tail;              // chunk with the last positions; null = none
  std::uint32_t tail_length;
  SlotTable codes;
  SlotTable buckets;
  std::uint32_t bucket_count;
  std::uint32_t code_page_hint;  // no page of codes before this one has a free slot
  std::uint64_t distinct;        // values
  std::uint64_t opaque;          // of them kPacked or kArray
};

// The key of a value's entry. The bytes of the value follow.
struct ValueRecord {
  std::uint64_t tally;  // in the low bits, how many positions hold it; in the high ones, CollectionRoot::list_walks
                        // when it came
  std::uint32_t hash;
  std::uint32_t code;
  Ref next;  // in its bucket

  static constexpr int kCountBits = 56;
  // Safe in a section.
  [[nodiscard]] std::uint64_t count() const noexcept { return load64(&tally) & ((std::uint64_t{1} << kCountBits) - 1); }
  // Whether it came while the checkpoint of this number was written; or, rarely, 256 or more before.
  [[nodiscard]] bool came_in_walk(std::uint32_t number) const noexcept {
    return load64(&tally) >> kCountBits == (number & 0xff);
  }
};
inline constexpr std::size_t kValueRecordBytes = 20;  // without the padding at its end

namespace list_state {

// Nullptr for an empty list without a state. Safe in a section.
[[nodiscard]] inline const ListState* of(const Part& part, const CollectionRoot& root) noexcept {
  const Ref state = load32(&root.list);
  return state == kNullRef ? nullptr : reinterpret_cast<const ListState*>(part.at(state, sizeof(ListState)));
}

// Where a position lies. Safe in a section, where `length` may be garbage: see valid().
struct Place {
  Ref chunk = kNullRef;
  std::uint32_t length = 0;  // of the chunk
  std::uint32_t offset = 0;  // of the position in it
  [[nodiscard]] bool valid() const noexcept { return chunk != kNullRef && offset < length && length <= kChunkCodes; }
};
[[nodiscard]] Place locate(const Part& part, const CollectionRoot& root, const ListState& state,
                           std::uint64_t position) noexcept;

// Codes [offset, offset + count) of a chunk; zeros if it cannot be one. Safe in a section.
void copy_codes(const Part& part, Ref chunk, std::uint32_t offset, std::uint32_t count, std::uint32_t* to) noexcept;
[[nodiscard]] std::uint32_t code_at(const Part& part, Ref chunk, std::uint32_t offset) noexcept;

// The address of a slot, or one of zeros. Safe in a section.
[[nodiscard]] const std::byte* slot_at(const Part& part, const SlotTable& table, std::uint32_t index) noexcept;

[[nodiscard]] inline const ValueRecord& record_of(const Part& part, Ref entry) noexcept {
  return *reinterpret_cast<const ValueRecord*>(part.at(entry, 8 + kValueRecordBytes) + 8);
}

// Frees some of what a detached list holds, a step that the caller commits; false = there is nothing left.
bool free_some(Transaction& txn, CollectionRoot& root, std::size_t blocks);

// Every block of a list, half freed or not. Under the lock.
void for_each_block(const Part& part, const CollectionRoot& root, const std::function<void(Ref, const char*)>& visit);

}  // namespace list_state
}  // namespace kv
