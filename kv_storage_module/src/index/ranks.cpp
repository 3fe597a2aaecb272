#include "index/ranks.hpp"

#include <algorithm>

#include "index/paths.hpp"

namespace kv {
namespace {

// As memcmp of the bytes in shared memory with the front of `other`; 0 if all that both have agree.
int compare(const std::byte* bytes, std::size_t count, ByteView other) noexcept {
  const std::size_t common = std::min(count, other.size());
  if (equal_bytes(bytes, other.data(), common)) return 0;
  for (std::size_t i = 0; i < common; ++i) {
    const std::uint8_t byte = load8(bytes + i);
    if (byte != byte_at(other, i)) return byte < byte_at(other, i) ? -1 : 1;
  }
  return 0;
}

[[nodiscard]] std::uint64_t entries_before(const NodeView& node, unsigned edge) noexcept {
  std::uint64_t entries = 0;
  const unsigned slots = node.slots_before(edge);
  for (unsigned i = 0; i < slots; ++i) entries += node.count(i);
  return entries;
}

[[nodiscard]] bool entry_is_less(const Part& part, Ref ref, std::uint64_t header_word, ByteView key) noexcept {
  const EntryHeader header = EntryHeader::decode(header_word);
  if (!part.contains(ref, kEntryHeaderBytes + header.key_bytes)) return false;
  const int order = compare(part.at(ref, kEntryHeaderBytes) + kEntryHeaderBytes, header.key_bytes, key);
  return order < 0 || (order == 0 && header.key_bytes < key.size());
}

[[nodiscard]] Ref checked_entry(const Part& part, Ref ref) noexcept {
  const EntryHeader header = EntryHeader::load(part.at(ref, kEntryHeaderBytes));
  const bool sound = header.kind == kEntryKind && part.contains(ref, kEntryHeaderBytes + header.key_bytes);
  return sound ? ref : kNullRef;
}

}  // namespace

std::uint32_t entries_below(const NodeView& node) noexcept {
  if (!node.counted()) return 0;
  return static_cast<std::uint32_t>(entries_before(node, 256)) + (node.has_terminal() ? 1 : 0);
}

std::uint64_t rank_of(const Part& part, Ref root, ByteView key) noexcept {
  std::uint64_t less = 0;
  Ref ref = root;
  std::size_t depth = 0;
  while (ref != kNullRef) {
    const std::uint64_t header = load64(part.at(ref, kNodeHeaderBytes));
    if (static_cast<std::uint8_t>(header) == kEntryKind) return less + (entry_is_less(part, ref, header, key) ? 1 : 0);
    const NodeView node(part, ref, header);
    if (!node || !node.counted()) return less;  // garbage
    const ByteView rest = key.substr(depth);
    const int order = compare(node.prefix(), node.prefix_bytes(), rest);
    if (order < 0) return less + entries_below(node);
    // A key that ends at the node, or inside its prefix, is the terminal or less than all below.
    if (order > 0 || rest.size() <= node.prefix_bytes()) return less;
    depth += node.prefix_bytes();
    const std::uint8_t edge = byte_at(key, depth++);
    less += entries_before(node, edge) + (node.has_terminal() ? 1 : 0);
    const std::byte* slot = node.child_slot(edge);
    if (slot == nullptr) return less;
    ref = load32(slot);
  }
  return less;
}

Ref select(const Part& part, Ref root, std::uint64_t index) noexcept {
  Ref ref = root;
  for (std::size_t level = 0; level <= kMaxKeyBytes && ref != kNullRef; ++level) {
    const std::uint64_t header = load64(part.at(ref, kNodeHeaderBytes));
    if (static_cast<std::uint8_t>(header) == kEntryKind) return index == 0 ? checked_entry(part, ref) : kNullRef;
    const NodeView node(part, ref, header);
    if (!node || !node.counted()) return kNullRef;
    if (node.has_terminal()) {
      if (index == 0) return checked_entry(part, node.terminal());
      --index;
    }
    const unsigned slots = node.slots_before(256);
    unsigned i = 0;
    for (; i < slots && index >= node.count(i); ++i) index -= node.count(i);
    if (i == slots) return kNullRef;
    ref = load32(node.slot(i));
  }
  return kNullRef;
}

void add_to_counts(Transaction& txn, Ref root, ByteView key, std::int32_t difference) {
  Ref ref = root;
  std::size_t depth = 0;
  while (load8(txn.at(ref)) != kEntryKind) {
    const NodeView node = node_at(txn, ref);
    if (!node.counted()) return;
    depth += node.prefix_bytes();
    if (depth >= key.size()) return;  // the terminal
    const std::byte* slot = node.child_slot(byte_at(key, depth++));
    if (slot == nullptr) throw Error(ErrorCode::kCorrupt, "the key index has lost the way to a key");
    const auto place = static_cast<unsigned>((slot - node.slot(0)) / static_cast<std::ptrdiff_t>(sizeof(Ref)));
    txn.store32(node.count_slot(place), node.count(place) + static_cast<std::uint32_t>(difference));
    ref = load32(slot);
  }
}

}  // namespace kv
