// Inner nodes of the key index: an adaptive radix tree (V. Leis, A. Kemper, T. Neumann: "The Adaptive Radix Tree:
// ARTful Indexing for Main-Memory Databases", ICDE 2013) whose leaves are entries (index/entry.hpp).
//
//          keys "day-01", "day-02x", "day-02y", "day-02"
//
//          [array, prefix "day-0", edges 1 2]
//              |            |
//          entry "day-01"  [array, prefix "", edges x y, terminal "day-02"]
//                              |                |
//                          entry "day-02x"   entry "day-02y"
//
// A node stands for all keys that begin with the path to it. Its prefix continues that path (path compression; stored
// whole, so that a walk knows every path without visiting a leaf). One edge byte leads to each child. A key that ends
// at the node, after the prefix, is its *terminal*.
//
//   byte 0      kind: form and capacity (0x80 set: has a terminal; 0x40 set: counted)
//   byte 1      children - 1
//   bytes 2-3   prefix length
//   bytes 4-7   classes of the bytes that occur below, see below
//   bytes 8...  edges: capacity sorted bytes (array form), or a bitmap of 256 bits (bitmap and full form)
//               prefix
//               padding to 4
//               capacity references: to the children in edge order (array, bitmap) or at the place of the edge byte
//               (full); the last one is the terminal, if there is one
//               in a counted node: capacity numbers of 4 bytes, how many entries each of these references leads to
//               (the terminal's is not used; those at unused places of the full form are 0)
//
// Either all nodes of an index are counted, or none: the counts are what rank and select go by (index/ranks.hpp), and
// an index that needs neither has neither their bytes nor their upkeep.
//
// Departures from the paper, measured on keys with decimal fields: arrays come in steps finer than 4 and 16 and fill
// the block they are given; a bitmap with packed references replaces the 256-byte table of Node48 (136 to 296 bytes
// instead of 480). A node keeps its size until it is over-full, or so empty that a smaller one leaves slack
// (`oversized`).
//
// The classes are a superset: erasing removes none. They let a glob skip a subtree that lacks a byte the rest of the
// pattern needs (index/cursor.hpp). To bound what an insertion writes, they are not kept up to date below a node that
// has the bit kUnknownBelow.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "index/entry.hpp"
#include "kv_storage/bytes.hpp"
#include "memory/part.hpp"
#include "memory/words.hpp"

namespace kv {

static_assert(std::endian::native == std::endian::little, "the node format counts on it");

enum class NodeForm : std::uint8_t { kNone, kArray, kBitmap, kFull };

struct NodeShape {
  NodeForm form = NodeForm::kNone;
  std::uint8_t edge_bytes = 0;
  std::uint16_t capacity = 0;  // references, including a terminal
  bool counted = false;
};

// Whether the nodes of an index count what is below them.
enum class Counting : bool { kOff, kOn };

inline constexpr std::size_t kNodeHeaderBytes = 8;
inline constexpr std::uint8_t kTerminalFlag = 0x80;
inline constexpr std::uint8_t kCountedFlag = 0x40;
inline constexpr unsigned kMaxArrayCapacity = 16;
inline constexpr unsigned kMaxBitmapCapacity = 64;
inline constexpr unsigned kFullCapacity = 257;

// Kinds (without the flags): 0x10 + capacity of an array; 0x30 + capacity / 8 of a bitmap; 0x28 full.
inline constexpr std::uint8_t kArrayKind = 0x10;
inline constexpr std::uint8_t kBitmapKind = 0x30;
inline constexpr std::uint8_t kFullKind = 0x28;

inline constexpr auto kNodeShapes = [] {
  std::array<NodeShape, 256> shapes{};
  for (const unsigned flags : {0U, 0x40U, 0x80U, 0xc0U}) {
    const bool counted = (flags & kCountedFlag) != 0;
    for (unsigned capacity = 2; capacity <= kMaxArrayCapacity; ++capacity) {
      shapes[flags + kArrayKind + capacity] = {NodeForm::kArray, static_cast<std::uint8_t>(capacity),
                                               static_cast<std::uint16_t>(capacity), counted};
    }
    for (const unsigned capacity : {24U, 32U, 48U, kMaxBitmapCapacity}) {
      shapes[flags + kBitmapKind + capacity / 8] = {NodeForm::kBitmap, 32, static_cast<std::uint16_t>(capacity),
                                                    counted};
    }
    shapes[flags + kFullKind] = {NodeForm::kFull, 32, kFullCapacity, counted};
  }
  return shapes;
}();

[[nodiscard]] constexpr std::size_t refs_offset(NodeShape shape, std::size_t prefix_bytes) noexcept {
  return (kNodeHeaderBytes + shape.edge_bytes + prefix_bytes + 3) / 4 * 4;
}
[[nodiscard]] constexpr std::size_t node_bytes(NodeShape shape, std::size_t prefix_bytes) noexcept {
  return refs_offset(shape, prefix_bytes) + std::size_t{shape.capacity} * sizeof(Ref) * (shape.counted ? 2 : 1);
}

// The kind of the smallest node that has room for `slots` references (children and terminal).
[[nodiscard]] std::uint8_t fitting_kind(std::size_t slots, std::size_t prefix_bytes,
                                        Counting counting = Counting::kOff) noexcept;

// Whether a node of this kind, holding `slots` references, should give way to a smaller one. Between this bound and
// the capacity it stays as it is, so that alternating insertions and erasures rebuild nothing.
[[nodiscard]] bool oversized(std::uint8_t kind, std::size_t slots, std::size_t prefix_bytes) noexcept;
// The kind to rebuild an oversized node as: it leaves the slack that `oversized` asks for.
[[nodiscard]] std::uint8_t shrunk_kind(std::uint8_t kind, std::size_t slots, std::size_t prefix_bytes) noexcept;

// Sets of bytes, as 31 classes: separators and digits finely, as they structure keys; the rest coarsely.
using ByteClasses = std::uint32_t;
inline constexpr ByteClasses kUnknownBelow = ByteClasses{1} << 31;
extern const std::array<ByteClasses, 256> kByteClass;
[[nodiscard]] ByteClasses classes_of(ByteView bytes) noexcept;

struct NodeHeader {
  std::uint8_t kind;        // with kTerminalFlag
  std::uint8_t last_child;  // children - 1
  std::uint16_t prefix_bytes;
  ByteClasses classes;

  static NodeHeader decode(std::uint64_t word) noexcept {
    return {static_cast<std::uint8_t>(word), static_cast<std::uint8_t>(word >> 8),
            static_cast<std::uint16_t>(word >> 16), static_cast<ByteClasses>(word >> 32)};
  }
  [[nodiscard]] std::uint64_t encode() const noexcept {
    return std::uint64_t{kind} | std::uint64_t{last_child} << 8 | std::uint64_t{prefix_bytes} << 16 |
           std::uint64_t{classes} << 32;
  }
};

// The place of `byte` among the first 8 bytes at `at` (8-aligned), or 8 or more.
[[nodiscard]] inline unsigned find_byte(const std::byte* at, std::uint8_t byte) noexcept {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  const std::uint64_t differing = load64(at) ^ (kOnes * byte);
  // Sets the high bit of each zero byte; a borrow can mark wrong ones only above the first, which is all we want.
  const std::uint64_t zeros = (differing - kOnes) & ~differing & (kOnes << 7);
  return static_cast<unsigned>(std::countr_zero(zeros)) / 8;
}

// A node as seen in shared memory. Made from garbage it is garbage, but every access through it stays inside the slice.
class NodeView {
 public:
  NodeView() noexcept = default;
  // `header_word` is the first word at `ref`. Not a node, or one that cannot lie there: converts to false.
  NodeView(const Part& part, Ref ref, std::uint64_t header_word) noexcept
      : header_(NodeHeader::decode(header_word)), shape_(kNodeShapes[header_.kind]) {
    if (shape_.form == NodeForm::kNone || !part.contains(ref, node_bytes(shape_, header_.prefix_bytes)) ||
        slots() > shape_.capacity) {
      return;
    }
    base_ = part.slice() + std::uint64_t{ref} * kGranule;
    refs_ = base_ + refs_offset(shape_, header_.prefix_bytes);
  }
  NodeView(const Part& part, Ref ref) noexcept : NodeView(part, ref, load64(part.at(ref, kNodeHeaderBytes))) {}

  explicit operator bool() const noexcept { return base_ != nullptr; }
  [[nodiscard]] const NodeHeader& header() const noexcept { return header_; }
  [[nodiscard]] NodeShape shape() const noexcept { return shape_; }
  [[nodiscard]] bool has_terminal() const noexcept { return (header_.kind & kTerminalFlag) != 0; }
  [[nodiscard]] unsigned children() const noexcept { return header_.last_child + 1U; }
  [[nodiscard]] unsigned slots() const noexcept { return children() + (has_terminal() ? 1 : 0); }
  [[nodiscard]] std::size_t prefix_bytes() const noexcept { return header_.prefix_bytes; }
  [[nodiscard]] ByteClasses classes() const noexcept { return header_.classes; }

  [[nodiscard]] std::byte* base() const noexcept { return base_; }
  [[nodiscard]] std::byte* edges() const noexcept { return base_ + kNodeHeaderBytes; }
  [[nodiscard]] std::byte* prefix() const noexcept { return edges() + shape_.edge_bytes; }
  [[nodiscard]] std::byte* slot(unsigned index) const noexcept { return refs_ + std::size_t{index} * sizeof(Ref); }
  [[nodiscard]] std::byte* terminal_slot() const noexcept { return slot(shape_.capacity - 1U); }
  [[nodiscard]] bool counted() const noexcept { return shape_.counted; }
  // How many entries the reference in slot(index) leads to; of a counted node only.
  [[nodiscard]] std::byte* count_slot(unsigned index) const noexcept { return slot(shape_.capacity + index); }
  [[nodiscard]] std::uint32_t count(unsigned index) const noexcept { return load32(count_slot(index)); }
  // How many of the slots, in edge order, hold or stand for children with an edge below `edge` (256: all).
  [[nodiscard]] unsigned slots_before(unsigned edge) const noexcept {
    if (shape_.form == NodeForm::kFull) return edge;
    return edge > 0xff ? children() : rank(static_cast<std::uint8_t>(edge));
  }
  [[nodiscard]] Ref terminal() const noexcept { return has_terminal() ? load32(terminal_slot()) : kNullRef; }

  // Whether `bytes` begins with the prefix.
  [[nodiscard]] bool prefix_begins(ByteView bytes) const noexcept {
    return bytes.size() >= prefix_bytes() && equal_bytes(prefix(), bytes.data(), prefix_bytes());
  }
  // The prefix as plain memory: only for the holder of the part lock.
  [[nodiscard]] ByteView prefix_view() const noexcept {
    return {reinterpret_cast<const char*>(prefix()), prefix_bytes()};
  }

  // The slot of the child at `edge`, or null.
  [[nodiscard]] std::byte* child_slot(std::uint8_t edge) const noexcept {
    switch (shape_.form) {
      case NodeForm::kArray: {
        unsigned place = find_byte(edges(), edge);
        if (place >= 8 && children() > 8) place = 8 + find_byte(edges() + 8, edge);
        return place < children() ? slot(place) : nullptr;
      }
      case NodeForm::kBitmap: {
        if (!has_edge(edge)) return nullptr;
        const unsigned place = rank(edge);
        return place < children() ? slot(place) : nullptr;
      }
      case NodeForm::kFull:
        return load32(slot(edge)) != kNullRef ? slot(edge) : nullptr;
      case NodeForm::kNone:
        break;
    }
    return nullptr;
  }

  // How many children have a smaller edge.
  [[nodiscard]] unsigned rank(std::uint8_t edge) const noexcept {
    unsigned count = 0;
    if (shape_.form == NodeForm::kArray) {
      while (count < children() && load8(edges() + count) < edge) ++count;
      return count;
    }
    for (unsigned word = 0; word < edge / 64; ++word) count += static_cast<unsigned>(std::popcount(bitmap(word)));
    const std::uint64_t below = (std::uint64_t{1} << (edge % 64)) - 1;
    return count + static_cast<unsigned>(std::popcount(bitmap(edge / 64U) & below));
  }

  [[nodiscard]] std::uint64_t bitmap(unsigned word) const noexcept { return load64(edges() + std::size_t{word} * 8); }
  [[nodiscard]] bool has_edge(std::uint8_t edge) const noexcept { return (bitmap(edge / 64U) >> (edge % 64) & 1) != 0; }

 private:
  NodeHeader header_{};
  NodeShape shape_;
  std::byte* base_ = nullptr;
  std::byte* refs_ = nullptr;
};

// All children of a node in edge order, in private memory.
struct ChildList {  // NOLINT(cppcoreguidelines-pro-type-member-init): filled up to `count`
  unsigned count = 0;
  bool counted = false;  // whether `counts` means anything
  std::array<std::uint8_t, 256> edges;
  std::array<Ref, 256> refs;
  std::array<std::uint32_t, 256> counts;

  void read(const NodeView& node) noexcept;
  void insert(unsigned place, std::uint8_t edge, Ref ref, std::uint32_t entries = 0) noexcept;
  void erase(unsigned place) noexcept;
};

}  // namespace kv
