#include "collections/list_directory.hpp"

#include <algorithm>
#include <stdexcept>

namespace kv {
namespace {

constexpr std::size_t kFewChildren = 8;  // a node with fewer joins a neighbour, if that leaves room
constexpr std::size_t kRoomyNode = 24;

}  // namespace

ListDirectory::Path ListDirectory::find(std::uint64_t position) const noexcept {
  Path path;
  Ref at = state_.directory;
  for (; path.height < state_.height; ++path.height) {
    const DirectoryNode& here = node(at);
    std::uint32_t i = 0;
    while (i + 1 < here.size && position >= here.counts[i]) position -= here.counts[i++];
    path.levels[path.height] = {at, i};
    at = here.children[i];
  }
  path.offset = static_cast<std::uint32_t>(position);
  return path;
}

ListDirectory::Path ListDirectory::last() const noexcept {
  Path path;
  for (Ref at = state_.directory; path.height < state_.height; ++path.height) {
    const DirectoryNode& here = node(at);
    path.levels[path.height] = {at, here.size - 1};
    at = here.children[here.size - 1];
  }
  return path;
}

ListDirectory::Child ListDirectory::child(const Path& path, int distance) const noexcept {
  const auto [ref, index] = path.levels[path.height - 1];
  const DirectoryNode& leaf = node(ref);
  const auto at = static_cast<std::int64_t>(index) + distance;
  if (at < 0 || at >= static_cast<std::int64_t>(leaf.size)) return {kNullRef, 0};
  return {leaf.children[at], leaf.counts[at]};
}

void ListDirectory::replace(const Path& path, int skip, std::uint32_t count, const std::vector<Child>& chunks) {
  Path changed = path;
  const std::uint32_t first = path.levels[path.height - 1].index + static_cast<std::uint32_t>(skip);
  replace_children(changed, path.height - 1, first, count, chunks);
}

void ListDirectory::push_back(Child chunk) {
  if (state_.directory == kNullRef) {
    txn_.store32(&state_.directory, make_node(&chunk, 1).ref);
    return txn_.store32(&state_.height, 1);
  }
  Path path = last();
  replace_children(path, path.height - 1, path.levels[path.height - 1].index + 1, 0, {chunk});
}

ListDirectory::Child ListDirectory::pop_back() {
  Path path = last();
  const Child taken = chunk(path);
  replace_children(path, path.height - 1, path.levels[path.height - 1].index, 1, {});
  return taken;
}

ListDirectory::Child ListDirectory::make_node(const Child* children, std::size_t count) {
  DirectoryNode made{};
  made.size = static_cast<std::uint32_t>(count);
  for (std::size_t i = 0; i < count; ++i) {
    made.children[i] = children[i].ref;
    made.counts[i] = children[i].count;
  }
  const Ref block = txn_.allocate(sizeof made);
  copy_in(txn_.fresh(block), &made, sizeof made);
  return {block, sum_of(children, count)};
}

std::uint64_t ListDirectory::sum_of(const Child* children, std::size_t count) noexcept {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += children[i].count;
  return sum;
}

void ListDirectory::store_children(Ref ref, const Child* children, std::size_t count) {
  DirectoryNode& to = node(ref);
  for (std::size_t i = 0; i < count; ++i) {
    if (to.children[i] != children[i].ref) txn_.store32(&to.children[i], children[i].ref);
    if (to.counts[i] != children[i].count) txn_.store64(&to.counts[i], children[i].count);
  }
  if (to.size != count) txn_.store32(&to.size, static_cast<std::uint32_t>(count));
}

void ListDirectory::replace_children(Path& path, std::uint32_t level, std::uint32_t first, std::uint32_t count,
                                     const std::vector<Child>& children) {
  const Ref ref = path.levels[level].node;
  std::vector<Child> all;
  const auto append = [&](const DirectoryNode& from, std::uint32_t begin, std::uint32_t end) {
    for (std::uint32_t i = begin; i < end; ++i) all.push_back({from.children[i], from.counts[i]});
  };
  const std::uint32_t size = node(ref).size;
  append(node(ref), 0, first);
  all.insert(all.end(), children.begin(), children.end());
  append(node(ref), first + count, size);

  // What takes the place of this node, and perhaps of one beside it, in the parent.
  std::uint32_t replaced_first = level == 0 ? 0 : path.levels[level - 1].index, replaced = 1;
  if (level > 0 && !all.empty() && all.size() < kFewChildren && children.size() < count) {
    const DirectoryNode& parent = node(path.levels[level - 1].node);
    const bool with_next = replaced_first + 1 < parent.size;
    const std::uint32_t beside = with_next ? replaced_first + 1 : replaced_first - 1;  // wraps: there is none
    if (beside < parent.size && all.size() + node(parent.children[beside]).size <= kRoomyNode) {
      const DirectoryNode& joined = node(parent.children[beside]);
      const std::vector<Child> mine = all;
      if (!with_next) all.clear();
      append(joined, 0, joined.size);
      if (!with_next) all.insert(all.end(), mine.begin(), mine.end());
      txn_.free(parent.children[beside]);
      replaced_first = std::min(replaced_first, beside);
      replaced = 2;
    }
  }

  std::vector<Child> nodes;
  if (all.empty()) {
    txn_.free(ref);
  } else {
    const bool at_end = first + count == size;  // appending leaves full nodes behind
    const std::size_t left = all.size() <= kDirectoryFanout ? all.size() : at_end ? kDirectoryFanout : all.size() / 2;
    if (left < all.size()) nodes.push_back(make_node(all.data() + left, all.size() - left));
    store_children(ref, all.data(), left);
    nodes.insert(nodes.begin(), {ref, sum_of(all.data(), left)});
  }
  if (level == 0) return replace_root(nodes);
  replace_children(path, level - 1, replaced_first, replaced, nodes);
}

void ListDirectory::replace_root(const std::vector<Child>& nodes) {
  if (nodes.empty()) {
    txn_.store32(&state_.directory, kNullRef);
    return txn_.store32(&state_.height, 0);
  }
  std::uint32_t height = state_.height;
  Ref root = nodes[0].ref;
  if (nodes.size() > 1) {
    if (height == kMaxDirectoryHeight) throw std::logic_error("the directory of a list outgrew its height");
    root = make_node(nodes.data(), nodes.size()).ref;
    ++height;
  }
  while (height > 1 && node(root).size == 1) {
    const Ref only = node(root).children[0];
    txn_.free(root);
    root = only;
    --height;
  }
  if (state_.directory != root) txn_.store32(&state_.directory, root);
  if (state_.height != height) txn_.store32(&state_.height, height);
}

}  // namespace kv
