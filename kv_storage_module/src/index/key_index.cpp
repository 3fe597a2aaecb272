#include "index/key_index.hpp"

#include <algorithm>
#include <array>

#include "index/node_writer.hpp"
#include "index/paths.hpp"
#include "index/ranks.hpp"

namespace kv {
namespace {

constexpr std::size_t kLineBytes = 64;

// Two keys parted by their first different byte, or by one ending first: children in order, or a terminal.
struct Fork {
  ChildList children;
  Ref terminal = kNullRef;
  ByteClasses classes = 0;

  explicit Fork(Counting counting) noexcept { children.counted = counting == Counting::kOn; }

  // `rest` is what follows the common prefix; `classes` of it and of all else that lies below `ref`; how many `entries`
  // do, but for the one that is being inserted.
  void add(ByteView rest, Ref ref, ByteClasses classes_below, std::uint32_t entries) {
    classes |= classes_below;
    if (rest.empty()) {
      terminal = ref;
      return;
    }
    const std::uint8_t edge = byte_at(rest, 0);
    children.insert(children.count != 0 && children.edges[0] < edge ? 1 : 0, edge, ref, entries);
  }
  [[nodiscard]] Ref build(Transaction& txn, ByteView prefix) const {
    const std::uint8_t kind = fitting_kind(2, prefix.size(), Counting{children.counted});
    return build_node(txn, kind, {prefix}, children, terminal, classes);
  }
};

// Keeps the classes of the nodes on the way of an insertion supersets of what will lie below them.
class ClassKeeper {
 public:
  explicit ClassKeeper(ByteView key) noexcept : key_classes_(classes_of(key)) {}

  // `below` is what of the key follows the node's prefix. Call for each node from the root down.
  void note(Transaction& txn, const NodeView& node, ByteView below) {
    if (!keeping_) return;
    if ((node.classes() & kUnknownBelow) != 0) {
      keeping_ = false;
      return;
    }
    if (depth_++ == kClassDepth) {
      set_classes(txn, node, node.classes() | kUnknownBelow);
      keeping_ = false;
      return;
    }
    if ((node.classes() & key_classes_) == key_classes_) return;
    const ByteClasses wanted = node.classes() | classes_of(below);
    if (wanted != node.classes()) set_classes(txn, node, wanted);
  }

 private:
  ByteClasses key_classes_;
  unsigned depth_ = 0;
  bool keeping_ = true;
};

void replace(Transaction& txn, void* word, const NodeView& node, Ref old_ref, std::size_t slots,
             const ChildList& children, Ref terminal) {
  const std::uint8_t kind = slots > node.slots() ? fitting_kind(slots, node.prefix_bytes(), Counting{node.counted()})
                                                 : shrunk_kind(node.header().kind, slots, node.prefix_bytes());
  txn.store32(word, build_node(txn, kind, {node.prefix_view()}, children, terminal, node.classes()));
  txn.free(old_ref);
}

void add_child(Transaction& txn, void* word, Ref ref, std::uint8_t edge, Ref entry) {
  const NodeView node = node_at(txn, ref);
  if (node.slots() < node.shape().capacity) return add_child_in_place(txn, node, edge, entry);
  ChildList children;
  children.read(node);
  children.insert(node.rank(edge), edge, entry);
  replace(txn, word, node, ref, node.slots() + 1, children, node.terminal());
}

void add_terminal(Transaction& txn, void* word, Ref ref, Ref entry) {
  const NodeView node = node_at(txn, ref);
  if (node.slots() < node.shape().capacity) return set_terminal_in_place(txn, node, entry);
  ChildList children;
  children.read(node);
  replace(txn, word, node, ref, node.slots() + 1, children, entry);
}

// The key leaves the prefix of `node` after `common` bytes: a fork takes its place, above a copy with the rest of it.
void split_prefix(Transaction& txn, void* word, const NodeView& node, Ref ref, std::size_t common, ByteView rest,
                  Ref entry) {
  const ByteView prefix = node.prefix_view();
  ChildList children;
  children.read(node);
  const ByteView lower_prefix = prefix.substr(common + 1);
  const Counting counting{node.counted()};
  const Ref lower = build_node(txn, fitting_kind(node.slots(), lower_prefix.size(), counting), {lower_prefix}, children,
                               node.terminal(), node.classes());
  Fork fork(counting);
  fork.add(prefix.substr(common), lower, node.classes() | classes_of(prefix.substr(common)), entries_below(node));
  fork.add(rest.substr(common), entry, classes_of(rest.substr(common)), 0);
  Ref upper;
  try {
    upper = fork.build(txn, prefix.substr(0, common));
  } catch (...) {
    txn.free(lower);
    throw;
  }
  txn.store32(word, upper);
  txn.free(ref);
}

}  // namespace

Ref find(const Part& part, Ref root, ByteView key) noexcept {
  Ref ref = root;
  std::size_t depth = 0;
  while (ref != kNullRef) {
    const std::uint64_t header = load64(part.at(ref, kNodeHeaderBytes));
    if (static_cast<std::uint8_t>(header) == kEntryKind) break;
    const NodeView node(part, ref, header);
    const ByteView rest = key.substr(depth);
    if (!node || !node.prefix_begins(rest)) return kNullRef;
    depth += node.prefix_bytes();
    if (depth == key.size()) {
      ref = node.terminal();
      break;
    }
    const std::byte* slot = node.child_slot(byte_at(key, depth++));
    if (slot == nullptr) return kNullRef;
    ref = load32(slot);
  }
  return ref != kNullRef && entry_has_key(part, ref, key) ? ref : kNullRef;
}

Ref first_entry(const Part& part, Ref root) noexcept {
  Ref ref = root;
  while (ref != kNullRef && load8(part.at(ref, kNodeHeaderBytes)) != kEntryKind) {
    const NodeView node(part, ref);
    if (node.has_terminal()) return node.terminal();
    unsigned place = 0;  // children lie in order; in a full node with gaps
    while (node.shape().form == NodeForm::kFull && load32(node.slot(place)) == kNullRef) ++place;
    ref = load32(node.slot(place));
  }
  return ref;
}

void prefetch_paths(const Part& part, Ref root, std::span<const ByteView> keys) noexcept {
  struct Walk {
    ByteView rest;
    Ref ref = kNullRef;
  };
  std::array<Walk, kPathGroup> walks;
  std::size_t active = std::min(keys.size(), kPathGroup);
  for (std::size_t i = 0; i < active; ++i) walks[i] = {keys[i], root};
  while (active != 0) {
    std::size_t going_on = 0;
    for (std::size_t i = 0; i < active; ++i) {
      const auto [key, ref] = walks[i];
      const NodeView node(part, ref);
      if (!node || node.prefix_bytes() >= key.size()) continue;  // an entry, or the key leaves the index here
      const std::byte* slot = node.child_slot(byte_at(key, node.prefix_bytes()));
      if (slot == nullptr) continue;
      const Ref next = load32(slot);
      const std::byte* at = part.at(next, 2 * kLineBytes);
      __builtin_prefetch(at);
      __builtin_prefetch(at + kLineBytes);
      walks[going_on++] = {key.substr(node.prefix_bytes() + 1), next};
    }
    active = going_on;
  }
}

namespace {

// Leaves the counts as if the entry had not come, with 0 where a new node or place leads to it alone.
Ref insert_uncounted(Transaction& txn, void* root_word, Ref entry, ByteView key, Counting counting) {
  const Part& part = txn.part();
  ClassKeeper classes(key);
  void* word = root_word;
  for (std::size_t depth = 0;; ++depth) {
    const Ref ref = load32(word);
    const ByteView rest = key.substr(depth);
    if (ref == kNullRef) {
      txn.store32(word, entry);
      return kNullRef;
    }
    if (load8(part.at(ref, kNodeHeaderBytes)) == kEntryKind) {
      const ByteView other = key_of(part, ref).substr(depth);
      if (other == rest) {
        txn.store32(word, entry);
        return ref;
      }
      const std::size_t common = common_bytes(rest, other);
      Fork fork(counting);
      fork.add(other.substr(common), ref, classes_of(other.substr(common)), 1);
      fork.add(rest.substr(common), entry, classes_of(rest.substr(common)), 0);
      txn.store32(word, fork.build(txn, rest.substr(0, common)));
      return kNullRef;
    }
    const NodeView node = node_at(txn, ref);
    const std::size_t common = common_bytes(node.prefix_view(), rest);
    if (common < node.prefix_bytes()) {
      split_prefix(txn, word, node, ref, common, rest, entry);
      return kNullRef;
    }
    depth += common;
    if (depth == key.size()) {
      const Ref replaced = node.terminal();
      if (replaced != kNullRef) {
        txn.store32(node.terminal_slot(), entry);
      } else {
        add_terminal(txn, word, ref, entry);
      }
      return replaced;
    }
    classes.note(txn, node, key.substr(depth));
    std::byte* const slot = node.child_slot(byte_at(key, depth));
    if (slot == nullptr) {
      add_child(txn, word, ref, byte_at(key, depth), entry);
      return kNullRef;
    }
    word = slot;
  }
}

// Where an entry hangs: the lowest node on its path that keeps another child or terminal without it. Below it there is
// the entry itself or, where erasures ran out of memory, a chain of nodes that lead only to the entry.
struct Anchor {
  void* word = nullptr;  // leads to the node; null: there is none, the whole index holds one entry
  Ref ref = kNullRef;
  int edge = -1;  // towards the entry; -1: the terminal
};

void free_chain(Transaction& txn, Ref ref, Ref entry) {
  while (ref != entry) {
    const NodeView node = node_at(txn, ref);
    ChildList children;
    children.read(node);
    const Ref next = node.has_terminal() ? node.terminal() : children.refs[0];
    txn.free(ref);
    ref = next;
  }
}

// The node's only remaining child takes its place, with the path between them as part of its prefix.
void merge_with_child(Transaction& txn, const Anchor& anchor, const NodeView& node, std::uint8_t edge, Ref child) {
  if (load8(txn.at(child)) == kEntryKind) {
    txn.store32(anchor.word, child);
  } else {
    const NodeView lower = node_at(txn, child);
    ChildList children;
    children.read(lower);
    const PrefixPieces prefix{node.prefix_view(), edge, lower.prefix_view()};
    const std::uint8_t kind = fitting_kind(lower.slots(), prefix.size(), Counting{lower.counted()});
    txn.store32(anchor.word, build_node(txn, kind, prefix, children, lower.terminal(),
                                        lower.classes() | (node.classes() & kUnknownBelow)));
    txn.free(child);
  }
  txn.free(anchor.ref);
}

// Tries to leave a node of the right size, which may need memory.
bool unlink_compactly(Transaction& txn, const Anchor& anchor, const NodeView& node) {
  const Ref terminal = anchor.edge < 0 ? kNullRef : node.terminal();
  const unsigned slots = node.slots() - 1;
  if (slots > 1 && !oversized(node.header().kind, slots, node.prefix_bytes())) return false;
  ChildList children;
  children.read(node);
  if (anchor.edge >= 0) children.erase(node.rank(static_cast<std::uint8_t>(anchor.edge)));
  try {
    if (slots > 1) {
      replace(txn, anchor.word, node, anchor.ref, slots, children, terminal);
    } else if (terminal != kNullRef) {
      txn.store32(anchor.word, terminal);
      txn.free(anchor.ref);
    } else {
      merge_with_child(txn, anchor, node, children.edges[0], children.refs[0]);
    }
    return true;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kOverCapacity) throw;
    return false;
  }
}

void unlink(Transaction& txn, void* root_word, const Anchor& anchor, Ref entry) {
  add_to_counts(txn, load32(root_word), key_of(txn.part(), entry), -1);
  if (anchor.word == nullptr) {
    const Ref chain = load32(root_word);
    txn.store32(root_word, kNullRef);
    free_chain(txn, chain, entry);
    return;
  }
  const NodeView node = node_at(txn, anchor.ref);
  const Ref chain = anchor.edge < 0 ? entry : load32(node.child_slot(static_cast<std::uint8_t>(anchor.edge)));
  if (!unlink_compactly(txn, anchor, node)) {
    if (anchor.edge < 0) {
      clear_terminal_in_place(txn, node);
    } else {
      remove_child_in_place(txn, node, static_cast<std::uint8_t>(anchor.edge));
    }
  }
  free_chain(txn, chain, entry);
}

}  // namespace

Ref insert(Transaction& txn, void* root_word, Ref entry, Counting counting) {
  const ByteView key = key_of(txn.part(), entry);
  const Ref replaced = insert_uncounted(txn, root_word, entry, key, counting);
  if (replaced == kNullRef && counting == Counting::kOn) add_to_counts(txn, load32(root_word), key, 1);
  return replaced;
}

Ref erase(Transaction& txn, void* root_word, ByteView key) {
  const Part& part = txn.part();
  Anchor anchor;
  void* word = root_word;
  for (std::size_t depth = 0;; ++depth) {
    const Ref ref = load32(word);
    if (ref == kNullRef) return kNullRef;
    if (load8(part.at(ref, kNodeHeaderBytes)) == kEntryKind) {
      if (key_of(part, ref) != key) return kNullRef;
      unlink(txn, root_word, anchor, ref);
      return ref;
    }
    const NodeView node = node_at(txn, ref);
    if (!node.prefix_begins(key.substr(depth))) return kNullRef;
    depth += node.prefix_bytes();
    const bool ends_here = depth == key.size();
    if (node.slots() > 1) anchor = {word, ref, ends_here ? -1 : byte_at(key, depth)};
    if (ends_here) {
      const Ref terminal = node.terminal();
      if (terminal != kNullRef) unlink(txn, root_word, anchor, terminal);
      return terminal;
    }
    word = node.child_slot(byte_at(key, depth));
    if (word == nullptr) return kNullRef;
  }
}

}  // namespace kv
