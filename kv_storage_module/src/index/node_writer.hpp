// Making and changing nodes under a Transaction: new ones are built aside, changes in place are journaled word by word.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "index/node.hpp"
#include "memory/block_supply.hpp"
#include "memory/transaction.hpp"

namespace kv {

// A prefix put together from pieces of other nodes' prefixes and of keys: `head`, then `joint` if set, then `tail`.
struct PrefixPieces {
  ByteView head;
  int joint = -1;  // a byte
  ByteView tail = {};

  [[nodiscard]] std::size_t size() const noexcept { return head.size() + (joint >= 0 ? 1 : 0) + tail.size(); }
};

// Builds a node in a fresh block and returns it, not yet reachable. `kind` comes from fitting_kind or shrunk_kind;
// its terminal flag is set here. Throws Error{kOverCapacity}.
[[nodiscard]] Ref build_node(Transaction& txn, std::uint8_t kind, const PrefixPieces& prefix, const ChildList& children,
                             Ref terminal, ByteClasses classes);

// The same from a supply of blocks: the smallest node, not counted, for these children in edge order.
[[nodiscard]] Ref build_node(BlockSupply& blocks, ByteView prefix, std::span<const std::uint8_t> edges,
                             std::span<const Ref> refs, Ref terminal, ByteClasses classes);

// Journaled changes of a reachable node. The first two need a free slot; at least one child has to be left.
void add_child_in_place(Transaction& txn, const NodeView& node, std::uint8_t edge, Ref child);
void set_terminal_in_place(Transaction& txn, const NodeView& node, Ref entry);
void remove_child_in_place(Transaction& txn, const NodeView& node, std::uint8_t edge);
// `children` are those of the node.
void keep_first_children(Transaction& txn, const NodeView& node, const ChildList& children, unsigned count);
void clear_terminal_in_place(Transaction& txn, const NodeView& node);
void set_classes(Transaction& txn, const NodeView& node, ByteClasses classes);

}  // namespace kv
