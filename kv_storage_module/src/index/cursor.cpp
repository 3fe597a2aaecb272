#include "index/cursor.hpp"

#include <algorithm>

namespace kv {
namespace {

constexpr std::size_t kWindow = 32;      // items handled in one step
constexpr std::size_t kAhead = 64;       // items prefetched before the next step
constexpr std::size_t kStepItems = 512;  // a step that has made so many opens no further node
constexpr std::size_t kInitialStack = 1024;
constexpr std::size_t kPageBudget = 4096;    // items looked at in one page: keeps sections short
constexpr std::size_t kPrefetchBytes = 256;  // of each entry, for its value
constexpr std::size_t kLine = 64;
constexpr std::size_t kHeadBytes = 32;  // of a node or entry: the header, and a key of usual length

// The least key that is greater than all that begin with `prefix`; none if there is no such key.
std::optional<std::string> successor(ByteView prefix) {
  std::string key(prefix);
  while (!key.empty() && key.back() == '\xff') key.pop_back();
  if (key.empty()) return std::nullopt;
  key.back() = static_cast<char>(static_cast<unsigned char>(key.back()) + 1);
  return key;
}

void prefetch(const Part& part, Ref ref) noexcept {
  const std::byte* at = part.slice() + std::uint64_t{ref} * kGranule;
  __builtin_prefetch(at);
  __builtin_prefetch(at + kHeadBytes - 1);
}

}  // namespace

Cursor::Cursor(std::optional<ByteView> start, std::optional<ByteView> stop, const GlobPattern* glob, bool reverse)
    : glob_(glob), reverse_(reverse) {
  if (start && !start->empty()) lower_ = {std::string(*start), true};
  if (stop) upper_ = {std::string(*stop), false};
  if (glob_ != nullptr) {
    const ByteView prefix = glob_->literal_prefix();
    glob_from_ = prefix.size();
    if (!prefix.empty() && (!lower_ || lower_->key < prefix)) lower_ = {std::string(prefix), true};
    const std::optional<std::string> end = successor(prefix);
    if (end && (!upper_ || upper_->key > *end)) upper_ = {*end, false};
  }
  stack_.reserve(kInitialStack);
  next_.reserve(kStepItems + kFullCapacity + kWindow);
}

std::span<const Ref> Cursor::collect(const Part& part, Ref root, std::size_t limit, bool values) noexcept {
  limit_ = std::min(limit, kPageEntries);
  const std::uint64_t sequence = part.sequence();
  if (!continues_ || sequence_ != sequence) restart(root);
  sequence_ = sequence;
  continues_ = false;  // until `advance` says that this section was valid
  exhausted_ = wants_room_ = wants_capture_ = captured_ = false;
  prefetch_values_ = values;
  found_ = 0;
  budget_ = kPageBudget;
  time_ = CallTime();

  for (;;) {
    emit(part);
    prefetch_ahead(part);  // also at the end: the next page then finds its items in the cache
    if (found_ == limit_ || stack_.empty()) break;
    if (budget_ == 0) {
      capture_position(part);
      break;
    }
    if (!step(part)) break;
  }
  exhausted_ = stack_.empty();
  return {page_.data(), found_};
}

bool Cursor::advance(std::size_t taken, ByteView last_key) {
  if (wants_room_) stack_.reserve(stack_.capacity() * 2);
  if (wants_capture_) capture_.resize(kMaxKeyBytes);
  if (stack_.capacity() - stack_.size() < found_) stack_.reserve(stack_.capacity() + kPageEntries);
  for (std::size_t i = found_; i > taken; --i) stack_.emplace_back(page_[i - 1], 0, kReady | kExpires, 0);

  std::optional<Bound>& position = reverse_ ? upper_ : lower_;
  if (captured_ && taken == found_) {
    position = {capture_.substr(0, capture_bytes_), true};
  } else if (taken > 0) {
    position = {std::string(last_key), false};
  }
  continues_ = true;
  const bool finished = exhausted_ && taken == found_;
  found_ = 0;
  return !finished;
}

void Cursor::restart(Ref root) noexcept {
  stack_.clear();
  if (root == kNullRef) return;
  unsigned flags = (lower_ ? kLowerTight : 0) | (upper_ ? kUpperTight : 0);
  if (glob_ == nullptr) flags |= kAcceptAll;
  stack_.emplace_back(root, 0, flags, glob_ != nullptr ? glob_->start() : 0);
}

void Cursor::emit(const Part& part) noexcept {
  while (found_ < limit_ && !stack_.empty() && stack_.back().has(kReady)) {
    take(part, stack_.back());
    stack_.pop_back();
  }
}

void Cursor::take(const Part& part, Item ready) noexcept {
  if (!ready.has(kExpires) || !entry_expired(part, ready.ref, time_)) page_[found_++] = ready.ref;
}

// Straight onto the page unless something precedes it.
void Cursor::pass_on(const Part& part, Item ready) noexcept {
  if (next_.empty() && found_ < limit_) {
    take(part, ready);
  } else {
    next_.push_back(ready);
  }
}

// Replaces the window on top of the stack by what it leads to. False if the stack lacks room for that.
bool Cursor::step(const Part& part) noexcept {
  const std::size_t window = std::min(kWindow, stack_.size());
  next_.clear();
  const std::size_t found = found_;
  std::size_t done = 0;
  for (; done < window && next_.size() < kStepItems; ++done) visit(part, stack_[stack_.size() - 1 - done]);
  if (stack_.size() - done + next_.size() > stack_.capacity()) {
    wants_room_ = true;
    found_ = found;  // what the window led to is found again
    return false;
  }
  stack_.resize(stack_.size() - done);
  stack_.insert(stack_.end(), next_.rbegin(), next_.rend());
  return true;
}

void Cursor::prefetch_ahead(const Part& part) noexcept {
  const std::size_t ahead = std::min(kAhead, stack_.size());
  for (std::size_t i = 0; i < ahead; ++i) {
    Item& item = stack_[stack_.size() - 1 - i];
    if (item.has(kReady | kPrefetched)) continue;
    prefetch(part, item.ref);
    item.set(kPrefetched);
  }
}

void Cursor::visit(const Part& part, Item item) noexcept {
  if (item.has(kReady)) return pass_on(part, item);
  // A path that follows a bound is one of few, and must make progress whatever the budget.
  if (!item.has(kTight) && budget_ > 0) --budget_;
  const std::uint64_t header = load64(part.at(item.ref, kNodeHeaderBytes));
  if (static_cast<std::uint8_t>(header) == kEntryKind) {
    visit_entry(part, item, header);
  } else {
    visit_node(part, item, header);
  }
}

// Compares the path, of which `count` bytes at `bytes` follow `depth` bytes that agree with the bound.
Cursor::Side Cursor::side_of(const std::byte* bytes, std::size_t count, std::size_t depth, const Bound& bound,
                             bool upper) const noexcept {
  const ByteView rest = ByteView(bound.key).substr(std::min(depth, bound.key.size()));
  for (std::size_t i = 0; i < count; ++i) {
    if (i == rest.size()) return upper ? Side::kOutside : Side::kInside;  // longer, so greater
    const std::uint8_t byte = load8(bytes + i);
    const auto bound_byte = static_cast<std::uint8_t>(rest[i]);
    if (byte != bound_byte) return (byte > bound_byte) == upper ? Side::kOutside : Side::kInside;
  }
  return count == rest.size() ? Side::kEqual : Side::kPrefix;
}

void Cursor::visit_entry(const Part& part, Item item, std::uint64_t header_word) noexcept {
  ++entries_visited_;
  const EntryHeader header = EntryHeader::decode(header_word);
  const std::byte* const entry = part.at(item.ref, kEntryHeaderBytes);
  const std::byte* const key = entry + kEntryHeaderBytes;
  if (header.key_bytes < item.depth() || !part.contains(item.ref, kEntryHeaderBytes + header.key_bytes)) return;
  if (entry_expired(part, item.ref, header, time_)) return;
  const std::byte* const rest = key + item.depth();
  const std::size_t rest_bytes = header.key_bytes - item.depth();

  if (item.has(kLowerTight)) {
    const Side side = side_of(rest, rest_bytes, item.depth(), *lower_, false);
    if (side == Side::kOutside || side == Side::kPrefix || (side == Side::kEqual && !lower_->inclusive)) return;
  }
  if (item.has(kUpperTight)) {
    const Side side = side_of(rest, rest_bytes, item.depth(), *upper_, true);
    if (side == Side::kOutside || (side == Side::kEqual && !upper_->inclusive)) return;
  }
  if (!item.has(kAcceptAll)) {
    if (!follow_glob(item, rest, rest_bytes)) return;
    if (!item.has(kAcceptAll)) {
      if (!glob_->accepts(item.states)) return;
      if ((item.has(kNonAscii) || !glob_->exact_for_ascii()) && !glob_->matches(key, header.key_bytes)) return;
    }
  }
  if (prefetch_values_) {
    const std::size_t bytes = std::min(header.total_bytes(), kPrefetchBytes);
    for (std::size_t at = kLine; at < bytes + kLine; at += kLine) __builtin_prefetch(entry + std::min(at, bytes));
  }
  pass_on(part, {item.ref, 0, kReady | (header.expires ? kExpires : 0), 0});
}

// Advances the item's glob states over `count` bytes of its path. False if no key on this path can match.
bool Cursor::follow_glob(Item& item, const std::byte* bytes, std::size_t count) const noexcept {
  std::size_t i = item.depth() < glob_from_ ? std::min(count, glob_from_ - item.depth()) : 0;
  for (; i < count && item.states != 0; ++i) {
    if (!item.has(kNonAscii) && glob_->accepts_all(item.states)) break;
    const std::uint8_t byte = load8(bytes + i);
    if (byte >= 0x80) item.set(kNonAscii);
    item.states = glob_->step(item.states, byte);
  }
  if (!item.has(kNonAscii) && glob_->accepts_all(item.states)) item.set(kAcceptAll);
  return item.states != 0;
}

void Cursor::visit_node(const Part& part, Item item, std::uint64_t header) noexcept {
  const NodeView node(part, item.ref, header);
  const std::size_t end = item.depth() + node.prefix_bytes();
  if (!node || end > kMaxKeyBytes) return;  // garbage
  ++nodes_visited_;

  unsigned tight_for_terminal = item.inherited() & kTight;
  unsigned tight = 0;
  if (item.has(kLowerTight)) {
    const Side side = side_of(node.prefix(), node.prefix_bytes(), item.depth(), *lower_, false);
    if (side == Side::kOutside) return;
    if (side == Side::kInside) tight_for_terminal &= ~kLowerTight;
    if (side == Side::kPrefix) tight |= kLowerTight;
  }
  if (item.has(kUpperTight)) {
    const Side side = side_of(node.prefix(), node.prefix_bytes(), item.depth(), *upper_, true);
    if (side == Side::kOutside) return;
    if (side == Side::kInside) tight_for_terminal &= ~kUpperTight;
    if (side == Side::kPrefix || side == Side::kEqual) tight |= kUpperTight;
  }
  if (!item.has(kAcceptAll) && !follow_glob(item, node.prefix(), node.prefix_bytes())) return;
  const unsigned flags = (item.inherited() & ~kTight) | tight;
  add_children(node, Item(item.ref, end, flags, item.states), tight_for_terminal);
}

// `path` is the path to the end of the node's prefix.
void Cursor::add_children(const NodeView& node, Item path, unsigned tight_for_terminal) noexcept {
  const std::size_t depth = path.depth();
  const unsigned flags = path.inherited() & ~kTight;
  const auto add_terminal = [&] {
    if (node.has_terminal()) next_.emplace_back(node.terminal(), depth, flags | tight_for_terminal, path.states);
  };
  if (!reverse_) add_terminal();

  const bool glob_counts = !path.has(kAcceptAll) && depth >= glob_from_;
  GlobPattern::States states = path.states;
  unsigned below = flags;
  if ((node.classes() & kUnknownBelow) != 0) below |= kUnknown;
  if (glob_counts && (below & kUnknown) == 0) states = glob_->viable(states, node.classes());

  const int lowest = path.has(kLowerTight) ? static_cast<std::uint8_t>(lower_->key[depth]) : -1;
  // Where the path equals the upper bound, all that is below is greater.
  const bool at_end = path.has(kUpperTight) && depth == upper_->key.size();
  const int highest = at_end ? -1 : path.has(kUpperTight) ? static_cast<std::uint8_t>(upper_->key[depth]) : 256;

  ChildList children;
  if (states != 0 || !glob_counts) children.read(node);
  for (unsigned i = 0; i < children.count; ++i) {
    const unsigned at = reverse_ ? children.count - 1 - i : i;
    const std::uint8_t edge = children.edges[at];
    if (edge < lowest || edge > highest || children.refs[at] == kNullRef) continue;
    unsigned child = below | (edge == lowest ? kLowerTight : 0) | (edge == highest ? kUpperTight : 0);
    GlobPattern::States child_states = states;
    if (glob_counts) {
      if (edge >= 0x80) child |= kNonAscii;
      child_states = glob_->step(states, edge);
      if (child_states == 0) continue;
      if ((child & kNonAscii) == 0 && glob_->accepts_all(child_states)) child |= kAcceptAll;
    }
    next_.emplace_back(children.refs[at], depth + 1, child, child_states);
  }
  if (reverse_) add_terminal();
}

// Between two matches the position is the first key (in the walk's direction) of the subtree that comes next.
void Cursor::capture_position(const Part& part) noexcept {
  if (capture_.empty()) {
    wants_capture_ = true;
    return;
  }
  Ref ref = stack_.back().ref;
  for (std::size_t depth = 0; depth <= kMaxKeyBytes; ++depth) {
    const std::uint64_t header = load64(part.at(ref, kNodeHeaderBytes));
    if (static_cast<std::uint8_t>(header) == kEntryKind) {
      const std::size_t bytes = EntryHeader::decode(header).key_bytes;
      if (!part.contains(ref, kEntryHeaderBytes + bytes)) return;
      copy_out(capture_.data(), part.at(ref, kEntryHeaderBytes) + kEntryHeaderBytes, bytes);
      capture_bytes_ = bytes;
      captured_ = true;
      return;
    }
    const NodeView node(part, ref, header);
    if (!node) return;
    if (!reverse_ && node.has_terminal()) {
      ref = node.terminal();
      continue;
    }
    ChildList children;
    children.read(node);
    if (children.count == 0) return;
    ref = children.refs[reverse_ ? children.count - 1 : 0];
  }
}

}  // namespace kv
