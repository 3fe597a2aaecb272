#include "collections/list_state.hpp"

#include <algorithm>

namespace kv::list_state {
namespace {

[[nodiscard]] const DirectoryNode& node_at(const Part& part, Ref node) noexcept {
  return *reinterpret_cast<const DirectoryNode*>(part.at(node, sizeof(DirectoryNode)));
}

template <class Code>
void widen(const std::byte* from, std::uint32_t count, std::uint32_t* to) noexcept {
  Code codes[kChunkCodes];
  copy_out(codes, from, count * sizeof(Code));
  std::copy_n(codes, count, to);
}

[[nodiscard]] std::uint32_t slots_of_page(const SlotTable& table, std::uint32_t page) noexcept {
  return page == 0 ? table.first_slots : kPageSlots;
}

void visit_directory(const Part& part, Ref ref, std::uint32_t level,
                     const std::function<void(Ref, const char*)>& visit) {
  if (ref == kNullRef) return;
  visit(ref, "a node of a list's directory");
  const DirectoryNode& node = node_at(part, ref);
  for (std::uint32_t i = 0; i < std::min(node.size, kDirectoryFanout); ++i) {
    if (level > 1) {
      visit_directory(part, node.children[i], level - 1, visit);
    } else {
      visit(node.children[i], "a chunk of a list");
    }
  }
}

void visit_table(const Part& part, const SlotTable& table, const std::function<void(Ref, const char*)>& visit,
                 bool with_entries) {
  if (table.pages == kNullRef) return;
  visit(table.pages, "a table of a list");
  for (std::uint32_t page = 0; page < table.page_count; ++page) {
    const auto& slot_page = *reinterpret_cast<const SlotPage*>(
        part.at(Part::offset_ref(table.pages, page * sizeof(SlotPage)), sizeof(SlotPage)));
    if (slot_page.slots == kNullRef) continue;
    visit(slot_page.slots, "a page of a list");
    for (std::uint32_t i = 0; with_entries && i < slots_of_page(table, page); ++i) {
      const Ref entry = load32(part.at(slot_page.slots, (i + 1) * sizeof(Ref)) + i * sizeof(Ref));
      if (entry != kNullRef) visit(entry, "a value of a list");
    }
  }
}

// Frees the last chunk, or a node that has none left, of the directory.
void free_last(Transaction& txn, ListState& state) {
  Ref path[kMaxDirectoryHeight] = {};
  std::uint32_t depth = 0;
  for (Ref at = state.directory; depth < state.height; ++depth) {
    path[depth] = at;
    const DirectoryNode& node = node_at(txn.part(), at);
    if (node.size == 0) break;
    at = node.children[node.size - 1];
  }
  // Either the leaf at the end of the path has a chunk, or the node at path[depth] is empty.
  const bool empty = depth < state.height;
  const std::uint32_t level = empty ? depth : depth - 1;
  if (!empty) {
    auto& leaf = *reinterpret_cast<DirectoryNode*>(txn.fresh(path[level]));
    txn.free(leaf.children[leaf.size - 1]);
    txn.store32(&leaf.size, leaf.size - 1);
    return;
  }
  txn.free(path[level]);
  if (level == 0) {
    txn.store32(&state.directory, kNullRef);
    return;
  }
  auto& parent = *reinterpret_cast<DirectoryNode*>(txn.fresh(path[level - 1]));
  txn.store32(&parent.size, parent.size - 1);
}

// Frees the last page of a table, once its entries are gone; then the table. False = nothing is left.
bool free_page_step(Transaction& txn, SlotTable& table, bool with_entries, std::size_t& blocks) {
  while (blocks > 0 && table.page_count != 0) {
    const std::uint32_t last = table.page_count - 1;
    auto& page = reinterpret_cast<SlotPage*>(txn.fresh(table.pages))[last];
    if (page.slots != kNullRef) {
      auto* const slots = reinterpret_cast<Ref*>(txn.fresh(page.slots));
      for (std::uint32_t i = 0; with_entries && i < slots_of_page(table, last); ++i) {
        if (slots[i] == kNullRef) continue;
        if (blocks == 0) return true;
        txn.free(slots[i]);
        txn.store32(&slots[i], kNullRef);
        --blocks;
      }
      if (blocks == 0) return true;
      txn.free(page.slots);
      txn.store32(&page.slots, kNullRef);
      --blocks;
    }
    txn.store32(&table.page_count, last);
  }
  if (table.page_count != 0) return true;
  if (table.pages == kNullRef) return false;
  txn.free(table.pages);
  txn.store32(&table.pages, kNullRef);
  return true;
}

}  // namespace

Place locate(const Part& part, const CollectionRoot& root, const ListState& state, std::uint64_t position) noexcept {
  const std::uint64_t length = load64(&root.entries);
  const std::uint32_t tail_length = load32(&state.tail_length);
  const std::uint64_t before_tail = length - tail_length;
  if (position >= before_tail) {
    return {load32(&state.tail), tail_length, static_cast<std::uint32_t>(position - before_tail)};
  }
  Ref at = load32(&state.directory);
  const std::uint32_t height = std::min(load32(&state.height), kMaxDirectoryHeight);
  for (std::uint32_t level = 0; level < height; ++level) {
    const DirectoryNode& node = node_at(part, at);
    const std::uint32_t size = std::min(load32(&node.size), kDirectoryFanout);
    std::uint32_t i = 0;
    std::uint64_t count = 0;
    for (; i < size && position >= (count = load64(&node.counts[i])); ++i) position -= count;
    if (i == size) return {};
    at = load32(&node.children[i]);
    if (level + 1 == height) {
      return {at, static_cast<std::uint32_t>(count), static_cast<std::uint32_t>(position)};
    }
  }
  return {};
}

void copy_codes(const Part& part, Ref chunk, std::uint32_t offset, std::uint32_t count, std::uint32_t* to) noexcept {
  const std::uint32_t width = ChunkHeader::load(part.at(chunk, kChunkHeaderBytes)).width;
  if (offset + count > kChunkCodes || (width != 1 && width != 2 && width != 4)) {
    std::fill_n(to, count, 0);
    return;
  }
  const std::byte* from = part.at(chunk, kChunkHeaderBytes + std::size_t{kChunkCodes} * width);
  // A chunk may be shorter than the longest, and lie at the end of the slice.
  if (from == kZeroBlock) from = part.at(chunk, kChunkHeaderBytes + (std::size_t{offset} + count) * width);
  from += kChunkHeaderBytes + std::size_t{offset} * width;
  if (width == 1) {
    widen<std::uint8_t>(from, count, to);
  } else if (width == 2) {
    widen<std::uint16_t>(from, count, to);
  } else {
    copy_out(to, from, count * sizeof(std::uint32_t));
  }
}

std::uint32_t code_at(const Part& part, Ref chunk, std::uint32_t offset) noexcept {
  const std::uint32_t width = ChunkHeader::load(part.at(chunk, kChunkHeaderBytes)).width;
  if (offset >= kChunkCodes || (width != 1 && width != 2 && width != 4)) return 0;
  const std::size_t at = kChunkHeaderBytes + std::size_t{offset} * width;
  const std::byte* from = part.at(chunk, at + width) + at;
  return width == 1 ? load8(from) : width == 2 ? load16(from) : load32(from);
}

const std::byte* slot_at(const Part& part, const SlotTable& table, std::uint32_t index) noexcept {
  const std::byte* page =
      part.at(Part::offset_ref(load32(&table.pages), index / kPageSlots * sizeof(SlotPage)), sizeof(SlotPage));
  const Ref slots = load32(page);
  const std::size_t offset = index % kPageSlots * sizeof(Ref);
  return slots == kNullRef ? kZeroBlock : part.at(slots, offset + sizeof(Ref)) + offset;
}

bool free_some(Transaction& txn, CollectionRoot& root, std::size_t blocks) {
  if (root.list == kNullRef) return false;
  auto& state = *reinterpret_cast<ListState*>(txn.fresh(root.list));
  for (; blocks > 0 && state.directory != kNullRef; --blocks) free_last(txn, state);
  if (state.directory != kNullRef) return true;
  if (free_page_step(txn, state.codes, true, blocks) || free_page_step(txn, state.buckets, false, blocks)) return true;
  if (state.tail != kNullRef) txn.free(state.tail);
  txn.free(root.list);
  txn.store32(&root.list, kNullRef);
  return true;
}

void for_each_block(const Part& part, const CollectionRoot& root, const std::function<void(Ref, const char*)>& visit) {
  const ListState* const state = of(part, root);
  if (state == nullptr) return;
  visit(root.list, "the state of a list");
  visit_directory(part, state->directory, state->height, visit);
  if (state->tail != kNullRef) visit(state->tail, "the last chunk of a list");
  visit_table(part, state->codes, visit, true);
  visit_table(part, state->buckets, visit, false);
}

}  // namespace kv::list_state
