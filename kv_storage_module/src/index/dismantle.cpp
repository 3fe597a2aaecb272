#include "index/dismantle.hpp"

#include <vector>

#include "index/key_index.hpp"
#include "index/node_writer.hpp"

namespace kv {
namespace {

constexpr std::size_t kJournalReserve = 1024;

// Goes down along the last children and removes from there. Every node that is left behind on the way keeps at least
// one child, so removing one never makes a chain of nodes above it empty.
class Dismantler {
 public:
  Dismantler(Transaction& txn, void* root_word, std::size_t limit, const std::function<void(Ref)>& release)
      : txn_(txn), root_word_(root_word), limit_(limit), release_(release) {}

  bool run() {
    while (load32(root_word_) != kNullRef && may_go_on()) {
      if (const Ref ref = load32(word()); is_entry(ref)) {
        release(ref);
        drop_last();
      } else {
        thin_out(ref);
      }
    }
    while (!path_.empty()) close();
    return load32(root_word_) != kNullRef;
  }

 private:
  // A node on the way, of which the first `left` children are still there.
  struct Frame {
    NodeView node;
    unsigned left;
  };

  [[nodiscard]] bool is_entry(Ref ref) const noexcept { return load8(txn_.at(ref)) == kEntryKind; }
  [[nodiscard]] bool may_go_on() const noexcept { return done_ < limit_ && txn_.journal_room() > kJournalReserve; }

  // The word that leads to the end of the way.
  [[nodiscard]] void* word() const noexcept {
    if (path_.empty()) return root_word_;
    const Frame& last = path_.back();
    return last.node.child_slot(children_.edges[last.left - 1]);
  }

  void release(Ref entry) {
    release_(entry);
    ++done_;
  }

  // What `word` leads to is gone.
  void drop_last() {
    if (path_.empty()) {
      txn_.store32(root_word_, kNullRef);
      return;
    }
    if (--path_.back().left == 1) close();
  }

  // Ends the way before its last node.
  void close() {
    const Frame& last = path_.back();
    if (last.left < children_.count) keep_first_children(txn_, last.node, children_, last.left);
    path_.pop_back();
    if (!path_.empty()) children_.read(path_.back().node);
  }

  // The node at the end of the way: without its terminal, it is replaced by its only child, or becomes part of the way.
  void thin_out(Ref ref) {
    const NodeView node(txn_.part(), ref);
    if (node.has_terminal()) {
      const Ref terminal = node.terminal();
      clear_terminal_in_place(txn_, node);
      release(terminal);
      return;
    }
    if (node.children() > 1) {
      path_.push_back({node, node.children()});
      children_.read(node);
      return;
    }
    ChildList only;
    only.read(node);
    txn_.store32(word(), only.refs[0]);
    txn_.free(ref);
    ++done_;
  }

  Transaction& txn_;
  void* root_word_;
  std::size_t limit_;
  const std::function<void(Ref)>& release_;
  std::size_t done_ = 0;
  std::vector<Frame> path_;
  ChildList children_;  // of the last node on the way
};

}  // namespace

bool dismantle_index(Transaction& txn, void* root_word, std::size_t limit, const std::function<void(Ref)>& release) {
  return Dismantler(txn, root_word, limit, release).run();
}

}  // namespace kv
