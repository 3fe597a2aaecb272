#include "index/node_writer.hpp"

#include <algorithm>

namespace kv {
namespace {

void store_header(Transaction& txn, const NodeView& node, NodeHeader header) {
  txn.store64(node.base(), header.encode());
}

void flip_bitmap(Transaction& txn, const NodeView& node, std::uint8_t edge) {
  const unsigned word = edge / 64U;
  txn.store64(node.edges() + std::size_t{word} * 8, node.bitmap(word) ^ std::uint64_t{1} << (edge % 64));
}

// Writes children [first, children.count) of a packed node to their places.
void write_tail(Transaction& txn, const NodeView& node, const ChildList& children, unsigned first) {
  const unsigned count = children.count - first;
  if (node.shape().form == NodeForm::kArray) txn.write(node.edges() + first, children.edges.data() + first, count);
  txn.write(node.slot(first), children.refs.data() + first, count * sizeof(Ref));
  if (node.counted()) txn.write(node.count_slot(first), children.counts.data() + first, count * sizeof(std::uint32_t));
}

// Children of a node under construction, in edge order.
struct Children {
  std::span<const std::uint8_t> edges;
  std::span<const Ref> refs;
  std::span<const std::uint32_t> counts;  // if the node is counted
};

std::array<std::uint64_t, 4> bitmap_of(std::span<const std::uint8_t> edges) noexcept {
  std::array<std::uint64_t, 4> bitmap{};
  for (const std::uint8_t edge : edges) bitmap[edge / 64U] |= std::uint64_t{1} << (edge % 64);
  return bitmap;
}

void fill_edges(std::byte* node, NodeShape shape, std::span<const std::uint8_t> edges) {
  if (shape.form == NodeForm::kArray) {
    copy_in(node + kNodeHeaderBytes, edges.data(), edges.size());
    return;
  }
  const std::array<std::uint64_t, 4> bitmap = bitmap_of(edges);
  copy_in(node + kNodeHeaderBytes, bitmap.data(), sizeof bitmap);
}

// References or counts: one number for each child.
void fill_numbers(std::byte* to, NodeShape shape, std::span<const std::uint8_t> edges,
                  std::span<const std::uint32_t> numbers) {
  if (shape.form != NodeForm::kFull) {
    copy_in(to, numbers.data(), numbers.size_bytes());
    return;
  }
  std::array<std::uint32_t, 256> by_edge{};
  for (std::size_t i = 0; i < edges.size(); ++i) by_edge[edges[i]] = numbers[i];
  copy_in(to, by_edge.data(), sizeof by_edge);
}

void fill_node(std::byte* node, std::uint8_t kind, const PrefixPieces& prefix, const Children& children, Ref terminal,
               ByteClasses classes) {
  const NodeShape shape = kNodeShapes[kind];
  const NodeHeader header{static_cast<std::uint8_t>(kind | (terminal != kNullRef ? kTerminalFlag : 0)),
                          static_cast<std::uint8_t>(children.edges.size() - 1),
                          static_cast<std::uint16_t>(prefix.size()), classes};
  store_relaxed<std::uint64_t>(node, header.encode());
  fill_edges(node, shape, children.edges);

  std::byte* to = node + kNodeHeaderBytes + shape.edge_bytes;
  copy_in(to, prefix.head.data(), prefix.head.size());
  to += prefix.head.size();
  if (prefix.joint >= 0) store_relaxed<std::uint8_t>(to++, static_cast<std::uint8_t>(prefix.joint));
  copy_in(to, prefix.tail.data(), prefix.tail.size());

  std::byte* const refs = node + refs_offset(shape, prefix.size());
  fill_numbers(refs, shape, children.edges, children.refs);
  if (shape.counted) fill_numbers(refs + shape.capacity * sizeof(Ref), shape, children.edges, children.counts);
  if (terminal != kNullRef) store_relaxed<Ref>(refs + (shape.capacity - 1U) * sizeof(Ref), terminal);
}

}  // namespace

Ref build_node(Transaction& txn, std::uint8_t kind, const PrefixPieces& prefix, const ChildList& children, Ref terminal,
               ByteClasses classes) {
  const Ref ref = txn.allocate(node_bytes(kNodeShapes[kind], prefix.size()));
  const std::size_t count = children.count;
  fill_node(txn.fresh(ref), kind, prefix,
            {std::span(children.edges).first(count), std::span(children.refs).first(count),
             std::span(children.counts).first(count)},
            terminal, classes);
  return ref;
}

Ref build_node(BlockSupply& blocks, ByteView prefix, std::span<const std::uint8_t> edges, std::span<const Ref> refs,
               Ref terminal, ByteClasses classes) {
  const std::uint8_t kind = fitting_kind(edges.size() + (terminal != kNullRef ? 1 : 0), prefix.size());
  const Ref ref = blocks.allocate(node_bytes(kNodeShapes[kind], prefix.size()));
  fill_node(blocks.txn().fresh(ref), kind, {prefix}, {edges, refs, {}}, terminal, classes);
  return ref;
}

void add_child_in_place(Transaction& txn, const NodeView& node, std::uint8_t edge, Ref child) {
  NodeHeader header = node.header();
  header.last_child = static_cast<std::uint8_t>(header.last_child + 1);
  if (node.shape().form == NodeForm::kFull) {
    flip_bitmap(txn, node, edge);
    txn.store32(node.slot(edge), child);
  } else {
    ChildList children;
    children.read(node);
    const unsigned place = node.rank(edge);
    children.insert(place, edge, child);
    if (node.shape().form == NodeForm::kBitmap) flip_bitmap(txn, node, edge);
    write_tail(txn, node, children, place);
  }
  store_header(txn, node, header);
}

void set_terminal_in_place(Transaction& txn, const NodeView& node, Ref entry) {
  NodeHeader header = node.header();
  header.kind |= kTerminalFlag;
  txn.store32(node.terminal_slot(), entry);
  store_header(txn, node, header);
}

void remove_child_in_place(Transaction& txn, const NodeView& node, std::uint8_t edge) {
  NodeHeader header = node.header();
  header.last_child = static_cast<std::uint8_t>(header.last_child - 1);
  if (node.shape().form == NodeForm::kFull) {
    flip_bitmap(txn, node, edge);
    txn.store32(node.slot(edge), kNullRef);
  } else {
    ChildList children;
    children.read(node);
    const unsigned place = node.rank(edge);
    children.erase(place);
    if (node.shape().form == NodeForm::kBitmap) flip_bitmap(txn, node, edge);
    write_tail(txn, node, children, place);
  }
  store_header(txn, node, header);
}

void keep_first_children(Transaction& txn, const NodeView& node, const ChildList& children, unsigned count) {
  NodeHeader header = node.header();
  header.last_child = static_cast<std::uint8_t>(count - 1);
  if (node.shape().form != NodeForm::kArray) {
    const std::array<std::uint64_t, 4> bitmap = bitmap_of(std::span(children.edges).first(count));
    txn.write(node.edges(), bitmap.data(), sizeof bitmap);
  }
  if (node.shape().form == NodeForm::kFull) {
    const std::array<Ref, 256> nothing{};
    const unsigned first_gone = children.edges[count];
    txn.write(node.slot(first_gone), nothing.data(), (256 - first_gone) * sizeof(Ref));
  }
  store_header(txn, node, header);
}

void clear_terminal_in_place(Transaction& txn, const NodeView& node) {
  NodeHeader header = node.header();
  header.kind &= static_cast<std::uint8_t>(~kTerminalFlag);
  store_header(txn, node, header);
}

void set_classes(Transaction& txn, const NodeView& node, ByteClasses classes) {
  NodeHeader header = node.header();
  header.classes = classes;
  store_header(txn, node, header);
}

}  // namespace kv
