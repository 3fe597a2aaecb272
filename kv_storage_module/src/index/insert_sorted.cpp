#include "index/insert_sorted.hpp"

#include <algorithm>
#include <stdexcept>

#include "index/key_index.hpp"
#include "index/node_writer.hpp"
#include "index/paths.hpp"

namespace kv {
namespace {

// With less room in the journal than that, the classes of nodes are marked as unknown, which takes one word, instead of
// being kept up to date. All else takes at most some 36 words an entry (the references of a bitmap node, shifted).
constexpr std::size_t kJournalReserve = 40 * kSortedBatch;

struct Item {
  ByteView key;
  Ref entry;
};
using Items = std::span<const Item>;

class SortedInserter {
 public:
  SortedInserter(Transaction& txn, std::vector<Ref>& replaced) : txn_(txn), replaced_(replaced) {}

  void run(void* root_word, std::span<const Ref> entries) {
    std::vector<Item> items;
    items.reserve(entries.size());
    for (const Ref entry : entries) {
      items.push_back({key_of(txn_.part(), entry), entry});
      batch_classes_ |= classes_of(items.back().key);
    }
    if (!items.empty()) merge({root_word, 0, 0, true}, items);
    for (const Ref block : obsolete_) txn_.free(block);  // last: nothing may be put into them in this step
  }

 private:
  // A place in the index: the word that leads there, the length of the path and the number of nodes above, and whether
  // the classes of nodes are maintained here.
  struct Place {
    void* word;
    std::size_t depth;
    unsigned level;
    bool keeps_classes;
  };
  struct Built {
    Ref ref;
    ByteClasses classes;  // of all bytes below the place it was built for
  };

  // The items that go on with the byte that the first of them has at `depth`.
  static Items first_group(Items items, std::size_t depth) noexcept {
    const std::uint8_t edge = byte_at(items[0].key, depth);
    std::size_t count = 1;
    while (count < items.size() && byte_at(items[count].key, depth) == edge) ++count;
    return items.first(count);
  }

  // A tree of items alone.
  Built build(Items items, std::size_t depth) {
    const ByteView first = items.front().key.substr(depth);
    if (items.size() == 1) return {items[0].entry, classes_of(first)};
    const std::size_t common = common_bytes(first, items.back().key.substr(depth));
    const std::size_t end = depth + common;
    Ref terminal = kNullRef;
    if (items[0].key.size() == end) {
      terminal = items[0].entry;
      items = items.subspan(1);
    }
    ChildList children;
    ByteClasses below = 0;
    while (!items.empty()) {
      const Items group = first_group(items, end);
      below |= append(children, group, end);
      items = items.subspan(group.size());
    }
    const std::size_t slots = children.count + (terminal != kNullRef ? 1U : 0U);
    const Ref ref = build_node(txn_, fitting_kind(slots, common), {first.substr(0, common)}, children, terminal, below);
    return {ref, below | classes_of(first.substr(0, common))};
  }

  // Builds a tree for a group that parts at `depth`, as the next child.
  ByteClasses append(ChildList& children, Items group, std::size_t depth) {
    const std::uint8_t edge = byte_at(group[0].key, depth);
    const Built built = build(group, depth + 1);
    children.insert(children.count, edge, built.ref);
    return built.classes | kByteClass[edge];
  }

  void merge(Place place, Items items) {
    // Goes down in a loop and not by recursion as long as all items take the same way: trees can be very deep.
    while (!items.empty()) {
      const Ref ref = load32(place.word);
      if (ref == kNullRef) {
        txn_.store32(place.word, build(items, place.depth).ref);
        return;
      }
      if (load8(txn_.at(ref)) == kEntryKind) return merge_with_entry(place, ref, items);
      const NodeView node = node_at(txn_, ref);
      const ByteView prefix = node.prefix_view();
      const std::size_t common = std::min(common_bytes(prefix, items.front().key.substr(place.depth)),
                                          common_bytes(prefix, items.back().key.substr(place.depth)));
      if (common < prefix.size()) {
        split(place, node, ref, common, items);
      } else {
        merge_into_node(place, node, ref, items);
      }
    }
  }

  void merge_with_entry(const Place& place, Ref other, Items items) {
    const ByteView key = key_of(txn_.part(), other);
    const auto at = std::lower_bound(items.begin(), items.end(), key,
                                     [](const Item& item, ByteView wanted) { return item.key < wanted; });
    std::vector<Item> all(items.begin(), items.end());
    if (at != items.end() && at->key == key) {
      replaced_.push_back(other);
    } else {
      all.insert(all.begin() + (at - items.begin()), {key, other});
    }
    txn_.store32(place.word, build(all, place.depth).ref);
  }

  // Items leave the node's prefix after `common` bytes: a new node takes its place, above a copy with the rest of the
  // prefix. Leaves in `items` those that go on into the copy, and in `place` the way there.
  void split(Place& place, const NodeView& node, Ref ref, std::size_t common, Items& items) {
    const ByteView prefix = node.prefix_view();
    const std::uint8_t edge = byte_at(prefix, common);
    const std::size_t end = place.depth + common;
    ChildList children;
    children.read(node);
    const ByteView lower_prefix = prefix.substr(common + 1);
    const Ref lower = build_node(txn_, fitting_kind(node.slots(), lower_prefix.size()), {lower_prefix}, children,
                                 node.terminal(), node.classes());
    ByteClasses below = node.classes() | classes_of(prefix.substr(common)) | classes_below(items, end);
    Ref terminal = kNullRef;
    if (items[0].key.size() == end) {
      terminal = items[0].entry;
      items = items.subspan(1);
    }
    children.count = 0;
    Items same;
    while (!items.empty()) {
      const Items group = first_group(items, end);
      if (byte_at(group[0].key, end) == edge) {
        same = group;
      } else {
        append(children, group, end);
      }
      items = items.subspan(group.size());
    }
    const auto after = std::find_if(children.edges.begin(), children.edges.begin() + children.count,
                                    [=](std::uint8_t other) { return other > edge; });
    children.insert(static_cast<unsigned>(after - children.edges.begin()), edge, lower);
    const std::size_t slots = children.count + (terminal != kNullRef ? 1U : 0U);
    const Ref upper =
        build_node(txn_, fitting_kind(slots, common), {prefix.substr(0, common)}, children, terminal, below);
    txn_.store32(place.word, upper);
    obsolete_.push_back(ref);
    place.word = node_at(txn_, upper).child_slot(edge);
    place.depth = end + 1;
    place.level += 1;
    place.keeps_classes = place.keeps_classes && (below & kUnknownBelow) == 0;
    items = same;
  }

  // All items go on below the node. Those without a child there get one; the others are merged, the last of their
  // groups by the caller.
  void merge_into_node(Place& place, NodeView node, Ref ref, Items& items) {
    const std::size_t end = place.depth + node.prefix_bytes();
    if (place.keeps_classes) place.keeps_classes = keep_classes(node, place.level, items, end);
    Ref terminal = kNullRef;
    if (items[0].key.size() == end) {
      terminal = items[0].entry;
      items = items.subspan(1);
    }
    std::vector<Items> present;
    ChildList added;
    while (!items.empty()) {
      const Items group = first_group(items, end);
      if (node.child_slot(byte_at(group[0].key, end)) != nullptr) {
        present.push_back(group);
      } else {
        append(added, group, end);
      }
      items = items.subspan(group.size());
    }
    node = add_to_node(place.word, ref, added, terminal);

    const auto place_of = [&](Items group) {
      const std::uint8_t edge = byte_at(group[0].key, end);
      return Place{node.child_slot(edge), end + 1, place.level + 1, place.keeps_classes};
    };
    if (present.empty()) return;
    for (const Items group : std::span(present).first(present.size() - 1)) merge(place_of(group), group);
    items = present.back();
    place = place_of(items);
  }

  // Returns the node that then holds them: the same, or the one that has taken its place.
  NodeView add_to_node(void* word, Ref ref, const ChildList& added, Ref terminal) {
    NodeView node = node_at(txn_, ref);
    if (terminal != kNullRef && node.has_terminal()) {
      replaced_.push_back(node.terminal());
      txn_.store32(node.terminal_slot(), terminal);
      terminal = kNullRef;
    }
    const unsigned slots = node.slots() + added.count + (terminal != kNullRef ? 1U : 0U);
    constexpr unsigned kFewInPlace = 2;
    if (slots <= node.shape().capacity && slots - node.slots() <= kFewInPlace) {
      for (unsigned i = 0; i < added.count; ++i) {
        add_child_in_place(txn_, node_at(txn_, ref), added.edges[i], added.refs[i]);
      }
      if (terminal != kNullRef) set_terminal_in_place(txn_, node_at(txn_, ref), terminal);
      return node_at(txn_, ref);
    }
    ChildList children;
    children.read(node);
    for (unsigned i = 0; i < added.count; ++i) {
      const auto end = children.edges.cbegin() + children.count;
      const auto after = std::upper_bound(children.edges.cbegin(), end, added.edges[i]);
      children.insert(static_cast<unsigned>(after - children.edges.cbegin()), added.edges[i], added.refs[i]);
    }
    const Ref larger = build_node(txn_, fitting_kind(slots, node.prefix_bytes()), {node.prefix_view()}, children,
                                  terminal != kNullRef ? terminal : node.terminal(), node.classes());
    txn_.store32(word, larger);
    obsolete_.push_back(ref);
    return node_at(txn_, larger);
  }

  [[nodiscard]] static ByteClasses classes_below(Items items, std::size_t depth) noexcept {
    ByteClasses classes = 0;
    for (const Item& item : items) classes |= classes_of(item.key.substr(depth));
    return classes;
  }

  // Makes the classes of the node a superset of what the items bring below it. False if they are not kept from here on.
  bool keep_classes(const NodeView& node, unsigned level, Items items, std::size_t end) {
    if ((node.classes() & kUnknownBelow) != 0) return false;
    if (level >= kClassDepth || txn_.journal_room() < kJournalReserve) {
      set_classes(txn_, node, node.classes() | kUnknownBelow);
      return false;
    }
    if ((node.classes() & batch_classes_) != batch_classes_) {
      const ByteClasses wanted = node.classes() | classes_below(items, end);
      if (wanted != node.classes()) set_classes(txn_, node, wanted);
    }
    return true;
  }

  Transaction& txn_;
  std::vector<Ref>& replaced_;
  ByteClasses batch_classes_ = 0;
  std::vector<Ref> obsolete_;
};

}  // namespace

void insert_sorted(Transaction& txn, void* root_word, std::span<const Ref> entries, std::vector<Ref>& replaced) {
  if (entries.size() > kSortedBatch) throw std::logic_error("a batch of sorted entries is too long for the journal");
  SortedInserter(txn, replaced).run(root_word, entries);
}

}  // namespace kv
