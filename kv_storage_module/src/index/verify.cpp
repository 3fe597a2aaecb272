#include "index/verify.hpp"

#include <bit>
#include <ranges>
#include <unordered_set>

#include "index/key_index.hpp"
#include "index/node.hpp"
#include "index/ranks.hpp"

namespace kv {
namespace {

class IndexVerifier {
 public:
  IndexVerifier(const Part& part, const std::function<void(Ref)>& node, const std::function<void(Ref)>& entry,
                std::vector<std::string>& violations, IndexShape shape)
      : part_(part), node_(node), entry_(entry), violations_(violations), shape_(shape) {}

  void run(Ref root) {
    if (root != kNullRef) pending_.push_back({root, 0, -1, kRoot});
    while (!pending_.empty()) {
      const Pending next = pending_.back();
      pending_.pop_back();
      visit(next);
    }
  }

 private:
  // A block still to visit: reached by the first `depth` bytes of the path and `edge`, if that is one.
  struct Pending {
    Ref ref;
    std::size_t depth;
    int edge;
    std::int64_t entries;  // that the parent counts below, or:
  };
  static constexpr std::int64_t kRoot = -1;       // there is no parent
  static constexpr std::int64_t kUncounted = -2;  // it does not count
  // A node on the path to what is visited, to check its classes against the keys below.
  struct Ancestor {
    Ref ref;
    std::size_t end;  // of its prefix in the path
    ByteClasses classes;
    bool maintained;
  };

  void complain(const std::string& what, Ref ref) {
    violations_.push_back("index block " + std::to_string(ref) + ": " + what);
  }

  void visit(const Pending& next) {
    path_.resize(next.depth);
    while (!ancestors_.empty() && ancestors_.back().end > next.depth) ancestors_.pop_back();
    if (next.edge >= 0) path_ += static_cast<char>(next.edge);
    if (!seen_.insert(next.ref).second) return complain("is reached twice", next.ref);
    const std::uint64_t header = load64(part_.at(next.ref, kNodeHeaderBytes));
    if (static_cast<std::uint8_t>(header) == kEntryKind) {
      visit_entry(next.ref, EntryHeader::decode(header));
      if (shape_ != IndexShape::kDismantled && next.entries >= 0 && next.entries != 1) {
        complain("an entry is counted as " + std::to_string(next.entries), next.ref);
      }
    } else {
      visit_node(next.ref, header, next.entries);
    }
  }

  void visit_entry(Ref ref, const EntryHeader& header) {
    entry_(ref);
    if (!part_.contains(ref, header.total_bytes())) return complain("an entry does not fit the slice", ref);
    if (shape_ == IndexShape::kDismantled) return;
    const ByteView key = key_of(part_, ref);
    if (!key.starts_with(path_)) return complain("an entry's key is not that of its path", ref);
    check_classes(ref, key);
  }

  void check_classes(Ref ref, ByteView key) {
    ByteClasses below = 0;
    std::size_t classified = key.size();
    for (const Ancestor& ancestor : std::views::reverse(ancestors_)) {
      below |= classes_of(key.substr(ancestor.end, classified - ancestor.end));
      classified = ancestor.end;
      if (ancestor.maintained && (below & ~ancestor.classes) != 0) {
        complain("has bytes that node " + std::to_string(ancestor.ref) + " does not know of", ref);
      }
    }
  }

  void visit_node(Ref ref, std::uint64_t header, std::int64_t counted_entries) {
    node_(ref);
    const NodeView node(part_, ref, header);
    if (!node) return complain("is neither an entry nor a node", ref);
    path_ += node.prefix_view();
    if (path_.size() > kMaxKeyBytes) return complain("a path is longer than any key", ref);
    ChildList children;
    children.read(node);
    if (!edges_are_sound(node, children)) return complain("edges, children and count do not agree", ref);
    if (shape_ == IndexShape::kCompact) check_compact(ref, node);
    if (shape_ != IndexShape::kDismantled) check_counts(ref, node, counted_entries);

    const bool maintained =
        (ancestors_.empty() || ancestors_.back().maintained) && (node.classes() & kUnknownBelow) == 0;
    ancestors_.push_back({ref, path_.size(), node.classes(), maintained});
    if (node.has_terminal()) visit_terminal(ref, node.terminal());
    for (unsigned i = children.count; i-- > 0;) {
      const std::int64_t entries = node.counted() ? std::int64_t{children.counts[i]} : kUncounted;
      pending_.push_back({children.refs[i], path_.size(), children.edges[i], entries});
    }
  }

  void visit_terminal(Ref ref, Ref terminal) {
    const bool is_entry = load8(part_.at(terminal, kEntryHeaderBytes)) == kEntryKind;
    if (!is_entry || (key_of(part_, terminal) != path_ && shape_ != IndexShape::kDismantled)) {
      return complain("the terminal is not the entry of the path", ref);
    }
    if (!seen_.insert(terminal).second) return complain("is reached twice", terminal);
    entry_(terminal);
  }

  static bool edges_are_sound(const NodeView& node, const ChildList& children) {
    if (children.count != node.children()) return false;
    for (unsigned i = 0; i < children.count; ++i) {
      if (children.refs[i] == kNullRef || (i > 0 && children.edges[i - 1] >= children.edges[i])) return false;
    }
    if (node.shape().form == NodeForm::kArray) return true;
    int bits = 0;
    for (unsigned word = 0; word < 4; ++word) bits += std::popcount(node.bitmap(word));
    if (static_cast<unsigned>(bits) != children.count) return false;
    if (node.shape().form == NodeForm::kBitmap) return true;
    unsigned refs = 0;
    for (unsigned edge = 0; edge < 256; ++edge) refs += load32(node.slot(edge)) != kNullRef ? 1 : 0;
    return refs == children.count;
  }

  // With the entries themselves counted as 1, this makes every count right by induction.
  void check_counts(Ref ref, const NodeView& node, std::int64_t entries) {
    if (entries != kRoot && node.counted() != (entries != kUncounted)) {
      return complain("counted nodes and others are mixed", ref);
    }
    if (entries >= 0 && entries_below(node) != static_cast<std::uint64_t>(entries)) {
      complain("holds " + std::to_string(entries_below(node)) + " entries, counted as " + std::to_string(entries), ref);
    }
  }

  void check_compact(Ref ref, const NodeView& node) {
    if (node.slots() < 2) complain("a node leads to one key only", ref);
    if (oversized(node.header().kind, node.slots(), node.prefix_bytes())) complain("a node is larger than needed", ref);
  }

  const Part& part_;
  const std::function<void(Ref)>& node_;
  const std::function<void(Ref)>& entry_;
  std::vector<std::string>& violations_;
  IndexShape shape_;

  std::string path_;
  std::vector<Pending> pending_;
  std::vector<Ancestor> ancestors_;
  std::unordered_set<Ref> seen_;
};

}  // namespace

void verify_index(const Part& part, Ref root, const std::function<void(Ref)>& node,
                  const std::function<void(Ref)>& entry, std::vector<std::string>& violations, IndexShape shape) {
  IndexVerifier(part, node, entry, violations, shape).run(root);
}

}  // namespace kv
