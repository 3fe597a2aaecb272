// Appending entries in key order behind all others of an index: what loading and restoring do.
//
// Sorted keys make a tree from the bottom up. Open is only the path of the greatest key, as a stack of nodes under
// construction; the next key parts from it at some depth, and all nodes below that are complete: each is built once, in
// the size it needs, and becomes a child of the one above (the stack of a Cartesian tree over the common prefixes of
// neighbours: J. Vuillemin, "A unifying look at data structures", 1980). What one step appends is linked at its end,
// so an index of any size grows by steps that each leave it whole: the next step opens the path of the greatest key
// again, and nodes on it that get no further children stay where they are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "index/node.hpp"
#include "memory/block_supply.hpp"

namespace kv {

// One step's additions to the index, not counted, at `root_word`.
class SortedAppender {
 public:
  // Opens the index. With the block supply that entries come from.
  SortedAppender(BlockSupply& blocks, void* root_word);

  // Whether `key` is greater than all keys of the index.
  [[nodiscard]] bool fits(ByteView key) const noexcept { return last_ == kNullRef || last_key_ < key; }
  // Journal entries that must be free for one more entry, the allocation of its block included, and finish().
  [[nodiscard]] std::size_t journal_needed() const noexcept { return kJournalToFinish + changed_ * kJournalPerNode; }

  // `entry` is a block of this step, filled, with a key that fits. Amortised O(length of the key that it does not share
  // with the one before). Throws Error{kOverCapacity}: the step then has to be rolled back.
  void add(Ref entry);
  // Links what was added; to be called once, last, then BlockSupply::settle(). Throws likewise.
  void finish();

 private:
  static constexpr std::size_t kJournalPerNode = BlockSupply::kJournalToAllocate + 32;  // built; the old one freed
  static constexpr std::size_t kJournalToFinish = 1024;  // an entry, settling, and references and classes on the path

  // A node on the path of the greatest key. Its last child, which lies on the path, too, is not among its children yet.
  struct Open {
    std::size_t end = 0;    // of its path: the next byte of a key is the edge to a child
    std::size_t first = 0;  // of its children in edges_ and refs_
    Ref terminal = kNullRef;
    ByteClasses classes = 0;  // of the bytes below
    // If it is in the index already:
    Ref node = kNullRef;
    std::size_t begin = 0;  // of its prefix
    std::size_t children = 0;
    bool keeps_classes = true;
  };

  void open_path(Ref root);
  // Closes nodes that end behind `depth`; what they have come to be becomes the child to attach.
  void close_below(std::size_t depth);
  void close(std::size_t begin);
  void attach(Open& to);
  [[nodiscard]] bool is_unchanged(const Open& open, std::size_t begin) const noexcept {
    return open.node != kNullRef && open.begin == begin && edges_.size() - open.first == open.children;
  }
  void update(const Open& open);

  BlockSupply& blocks_;
  Transaction& txn_;
  void* root_word_;
  std::vector<Open> open_;
  std::vector<std::uint8_t> edges_;  // of the children of all open nodes, from the root down
  std::vector<Ref> refs_;
  std::size_t changed_ = 0;  // open nodes that have to be built
  Ref last_ = kNullRef;      // the entry with the greatest key
  ByteView last_key_;
  Ref child_ = kNullRef;           // what hangs below the last open node: an entry, or a node that was just closed,
  ByteClasses child_classes_ = 0;  // with the bytes in and below it
};

}  // namespace kv
