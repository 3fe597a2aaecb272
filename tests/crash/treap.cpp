#include "treap.hpp"

#include <cstddef>
#include <cstring>

#include "random.hpp"
#include "scoreboard.hpp"

namespace kv::crash {
namespace {

constexpr std::size_t kMaxNodes = 4096;  // a walk that meets more goes in circles
constexpr int kMaxDepth = 200;

}  // namespace

struct Treap::Node {
  std::uint64_t key;
  Ref left;
  Ref right;
  std::uint64_t priority;
  Ref payload;
  std::uint32_t payload_bytes;
  std::uint64_t version;
  std::uint64_t version_again;

  // From memory that may be changing.
  static Node load(const Part& part, Ref ref) noexcept {
    Node copy;
    copy_out(&copy, part.at(ref, sizeof copy), sizeof copy);
    return copy;
  }
};

struct Treap::Root {
  Ref top;
  std::uint32_t reserved;
  std::uint64_t nodes;
  std::uint64_t sum;
  std::uint64_t apart[16];  // so that the sums lie in different cache lines
  std::uint64_t sum_again;

  static Root load(const Part& part, Ref ref) noexcept {
    Root copy;
    copy_out(&copy, part.at(ref, sizeof copy), sizeof copy);
    return copy;
  }
};

// In order over all nodes. Follows whatever it reads, and stops in the end.
class Treap::Walk {
 public:
  explicit Walk(const Part& part) noexcept : part_(part) {}

  template <class Visit>
  [[nodiscard]] bool run(Ref ref, Visit&& visit, int depth = 0) {
    if (ref == kNullRef) return true;
    if (depth == kMaxDepth || ++seen_ > kMaxNodes) return false;
    const Node node = Node::load(part_, ref);
    return run(node.left, visit, depth + 1) && visit(ref, node) && run(node.right, visit, depth + 1);
  }

 private:
  const Part& part_;
  std::size_t seen_ = 0;
};

void Treap::make(Part& part) {
  Transaction txn(part);
  const Ref root = txn.allocate(sizeof(Root));
  const Root empty{};
  copy_in(txn.fresh(root), &empty, sizeof empty);
  txn.store32(&part.control().directory, root);
  txn.commit();
}

Ref Treap::root_ref() const noexcept { return load32(&part_.control().directory); }

const Treap::Node& Treap::node(const Transaction& txn, Ref ref) const noexcept {
  return *reinterpret_cast<const Node*>(txn.at(ref));
}

void Treap::add_to_root(Transaction& txn, std::int64_t nodes, std::uint64_t versions) {
  const Root root = Root::load(part_, root_ref());
  txn.store64(root_ref(), offsetof(Root, nodes), root.nodes + static_cast<std::uint64_t>(nodes));
  txn.store64(root_ref(), offsetof(Root, sum), root.sum + versions);
  txn.store64(root_ref(), offsetof(Root, sum_again), root.sum_again + versions);
}

void Treap::put(Transaction& txn, std::uint64_t key, std::uint64_t version, Ref payload, std::size_t payload_bytes) {
  Ref ref = Root::load(part_, root_ref()).top;
  while (ref != kNullRef && node(txn, ref).key != key)
    ref = key < node(txn, ref).key ? node(txn, ref).left : node(txn, ref).right;
  if (ref == kNullRef) {
    const Ref fresh = txn.allocate(sizeof(Node));
    const Node made{key, 0, 0, mix(key), payload, static_cast<std::uint32_t>(payload_bytes), version, version};
    copy_in(txn.fresh(fresh), &made, sizeof made);
    txn.store32(root_ref(), offsetof(Root, top), insert(txn, Root::load(part_, root_ref()).top, fresh));
    add_to_root(txn, 1, version);
    return;
  }
  const Node old = node(txn, ref);
  txn.store32(ref, offsetof(Node, payload), payload);
  txn.store64(ref, offsetof(Node, version), version);
  add_to_root(txn, 0, version - old.version);
  txn.store32(ref, offsetof(Node, payload_bytes), static_cast<std::uint32_t>(payload_bytes));
  txn.store64(ref, offsetof(Node, version_again), version);
  txn.free(old.payload);
}

// The subtree `into` with `fresh` in it: as a leaf, rotated up until no parent has a lower priority.
Ref Treap::insert(Transaction& txn, Ref into, Ref fresh) {
  if (into == kNullRef) return fresh;
  const bool left = node(txn, fresh).key < node(txn, into).key;
  const std::size_t side = left ? offsetof(Node, left) : offsetof(Node, right);
  const std::size_t other_side = left ? offsetof(Node, right) : offsetof(Node, left);
  const Ref child = insert(txn, left ? node(txn, into).left : node(txn, into).right, fresh);
  if (node(txn, child).priority <= node(txn, into).priority) {
    txn.store32(into, side, child);
    return into;
  }
  txn.store32(into, side, left ? node(txn, child).right : node(txn, child).left);
  txn.store32(child, other_side, into);
  return child;
}

void Treap::erase(Transaction& txn, std::uint64_t key) {
  Ref ref = Root::load(part_, root_ref()).top;
  while (ref != kNullRef && node(txn, ref).key != key)
    ref = key < node(txn, ref).key ? node(txn, ref).left : node(txn, ref).right;
  if (ref == kNullRef) return;
  const Node old = node(txn, ref);
  txn.store32(root_ref(), offsetof(Root, top), remove(txn, Root::load(part_, root_ref()).top, key));
  add_to_root(txn, -1, 0 - old.version);
  txn.free(ref);
  txn.free(old.payload);
}

Ref Treap::remove(Transaction& txn, Ref from, std::uint64_t key) {
  const Node& at = node(txn, from);
  if (at.key == key) return merge(txn, at.left, at.right);
  if (key < at.key) {
    txn.store32(from, offsetof(Node, left), remove(txn, at.left, key));
  } else {
    txn.store32(from, offsetof(Node, right), remove(txn, at.right, key));
  }
  return from;
}

Ref Treap::merge(Transaction& txn, Ref left, Ref right) {
  if (left == kNullRef) return right;
  if (right == kNullRef) return left;
  if (node(txn, left).priority > node(txn, right).priority) {
    txn.store32(left, offsetof(Node, right), merge(txn, node(txn, left).right, right));
    return left;
  }
  txn.store32(right, offsetof(Node, left), merge(txn, left, node(txn, right).left));
  return right;
}

std::optional<Treap::Found> Treap::find(const Transaction& txn, std::uint64_t key) const {
  Ref ref = Root::load(part_, root_ref()).top;
  while (ref != kNullRef && node(txn, ref).key != key)
    ref = key < node(txn, ref).key ? node(txn, ref).left : node(txn, ref).right;
  if (ref == kNullRef) return std::nullopt;
  const Node& found = node(txn, ref);
  return Found{found.version, found.payload, found.payload_bytes};
}

std::optional<Treap::Found> Treap::read(std::uint64_t key, char* payload, std::size_t room) const {
  struct Result {
    bool found;
    bool lost;
    Node node;
  };
  const Result result = part_.read([&] {
    Result seen{};
    Ref ref = Root::load(part_, root_ref()).top;
    for (int depth = 0; ref != kNullRef; ++depth) {
      seen.lost = depth == kMaxDepth;
      if (seen.lost) return seen;
      seen.node = Node::load(part_, ref);
      seen.found = seen.node.key == key;
      if (seen.found) break;
      ref = key < seen.node.key ? seen.node.left : seen.node.right;
    }
    const std::size_t wanted = std::min<std::size_t>(room, seen.node.payload_bytes);
    if (seen.found && part_.contains(seen.node.payload, wanted)) {
      copy_out(payload, part_.slice() + std::uint64_t{seen.node.payload} * kGranule, wanted);
    }
    return seen;
  });
  if (result.lost) throw Violation("a look-up went astray");
  if (!result.found) return std::nullopt;
  if (result.node.version != result.node.version_again) throw Violation("a node with two versions");
  return Found{result.node.version, result.node.payload, result.node.payload_bytes};
}

void Treap::audit() const {
  const char* const wrong = part_.read([&]() -> const char* {
    const Root root = Root::load(part_, root_ref());
    if (root.sum != root.sum_again) return "two sums of all versions";
    std::uint64_t nodes = 0;
    std::uint64_t sum = 0;
    std::uint64_t last_key = 0;
    const bool ended = Walk(part_).run(root.top, [&](Ref, const Node& at) {
      const bool fits = at.version == at.version_again && (nodes == 0 || at.key > last_key);
      ++nodes, sum += at.version, last_key = at.key;
      return fits;
    });
    if (!ended) return "an audit found disorder";
    if (nodes != root.nodes) return "an audit counted nodes too many or too few";
    return sum == root.sum ? nullptr : "an audit's sum differs";
  });
  if (wrong != nullptr) throw Violation(wrong);
}

void Treap::verify(std::vector<Ref>& blocks, std::vector<std::string>& violations) const {
  const Root root = Root::load(part_, root_ref());
  blocks.push_back(root_ref());
  std::uint64_t nodes = 0;
  std::uint64_t sum = 0;
  const bool ended = Walk(part_).run(root.top, [&](Ref ref, const Node& at) {
    ++nodes, sum += at.version;
    blocks.push_back(ref);
    blocks.push_back(at.payload);
    if (at.version != at.version_again) violations.emplace_back("a node with two versions");
    return true;
  });
  if (!ended) violations.emplace_back("the treap does not end");
  if (nodes != root.nodes) violations.emplace_back("the treap has nodes too many or too few");
  if (sum != root.sum || sum != root.sum_again) violations.emplace_back("the treap's sums differ");
}

}  // namespace kv::crash
