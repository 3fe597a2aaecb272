#include "index/append_sorted.hpp"

#include "index/key_index.hpp"
#include "index/node_writer.hpp"
#include "index/paths.hpp"

namespace kv {

SortedAppender::SortedAppender(BlockSupply& blocks, void* root_word)
    : blocks_(blocks), txn_(blocks.txn()), root_word_(root_word) {
  if (const Ref root = load32(root_word); root != kNullRef) open_path(root);
}

void SortedAppender::open_path(Ref root) {
  ChildList children;
  Ref ref = root;
  std::size_t depth = 0;
  bool keeps_classes = true;
  while (load8(txn_.at(ref)) != kEntryKind) {
    NodeView node = node_at(txn_, ref);
    if (keeps_classes && open_.size() == kClassDepth) {
      set_classes(txn_, node, node.classes() | kUnknownBelow);
      node = node_at(txn_, ref);
    }
    keeps_classes = keeps_classes && (node.classes() & kUnknownBelow) == 0;
    children.read(node);
    Open open{.end = depth + node.prefix_bytes(), .first = edges_.size()};
    open.terminal = node.terminal();
    open.classes = node.classes();
    open.node = ref;
    open.begin = depth;
    open.children = children.count;
    open.keeps_classes = keeps_classes;
    edges_.insert(edges_.end(), children.edges.begin(), children.edges.begin() + children.count - 1);
    refs_.insert(refs_.end(), children.refs.begin(), children.refs.begin() + children.count - 1);
    open_.push_back(open);
    depth = open.end + 1;
    ref = children.refs[children.count - 1];
  }
  last_ = child_ = ref;
  last_key_ = key_of(txn_.part(), ref);
}

void SortedAppender::add(Ref entry) {
  const ByteView key = key_of(txn_.part(), entry);
  if (last_ != kNullRef) {
    const std::size_t common = common_bytes(last_key_, key);
    close_below(common);
    if (open_.empty() || open_.back().end < common) {
      open_.push_back({.end = common, .first = edges_.size()});
      ++changed_;
    }
    attach(open_.back());
  }
  last_ = child_ = entry;
  last_key_ = key;
}

void SortedAppender::finish() {
  if (last_ == kNullRef) return;
  while (!open_.empty()) close(open_.size() > 1 ? open_[open_.size() - 2].end + 1 : 0);
  if (load32(root_word_) != child_) txn_.store32(root_word_, child_);
}

void SortedAppender::close_below(std::size_t depth) {
  while (!open_.empty() && open_.back().end > depth) {
    const std::size_t above = open_.size() > 1 ? std::max(open_[open_.size() - 2].end, depth) : depth;
    close(above + 1);
  }
}

// The last open node is complete; its prefix begins at `begin`.
void SortedAppender::close(std::size_t begin) {
  attach(open_.back());
  const Open open = open_.back();
  const ByteView prefix = last_key_.substr(begin, open.end - begin);
  const bool was_changed = open.node == kNullRef || edges_.size() - open.first > open.children;
  if (is_unchanged(open, begin)) {
    update(open);
    child_ = open.node;
  } else {
    child_ = build_node(blocks_, prefix, std::span(edges_).subspan(open.first), std::span(refs_).subspan(open.first),
                        open.terminal, open.classes);
    if (open.node != kNullRef) txn_.free(open.node);
  }
  child_classes_ = open.classes | classes_of(prefix);
  if (was_changed) --changed_;
  edges_.resize(open.first);
  refs_.resize(open.first);
  open_.pop_back();
}

// Its children are those it had, but the last one may have another place, and other bytes below it.
void SortedAppender::update(const Open& open) {
  const NodeView node = node_at(txn_, open.node);
  std::byte* const slot = node.child_slot(edges_.back());
  if (load32(slot) != refs_.back()) txn_.store32(slot, refs_.back());
  if (open.keeps_classes && (open.classes & ~node.classes()) != 0) set_classes(txn_, node, open.classes);
}

// Puts the child below the open node that it hangs from.
void SortedAppender::attach(Open& to) {
  if (child_ == last_ && last_key_.size() == to.end) {
    to.terminal = child_;
    return;
  }
  const std::uint8_t edge = byte_at(last_key_, to.end);
  ByteClasses below = child_ == last_ ? classes_of(last_key_.substr(to.end)) : child_classes_ | kByteClass[edge];
  // What a node does not know of below it, a new one above it does not know either; one that was there does.
  if (to.node != kNullRef) below &= ~kUnknownBelow;
  to.classes |= below;
  edges_.push_back(edge);
  refs_.push_back(child_);
  if (to.node != kNullRef && edges_.size() - to.first == to.children + 1) ++changed_;
}

}  // namespace kv
