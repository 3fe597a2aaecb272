// A walk through the key index in key order, forwards or backwards, over a range of keys and, if wanted, those that
// match a glob. It goes by pages, each inside one section (memory/part.hpp), and stays right while others write:
//
//   Cursor cursor(start, stop, glob, reverse);
//   for (bool more = true; more;) {
//     n = part.read([&] { entries = cursor.collect(part, root); /* copy keys out */ return taken; });
//     more = cursor.advance(n, last key copied out);
//   }
//
// A page continues where the last ended if the part has not changed, else it descends anew to what follows the
// position. Entries that have expired by the time of the page are skipped.
//
// The walk keeps a stack of *items*: subtrees and entries still to visit, the next on top. Cache misses decide its
// speed, so it does not go depth first but takes a window of items from the top at once, replaces nodes by their
// children, and prefetches the window that results: the misses of one step overlap.
//
// What is skipped without being looked at: subtrees outside the range (the path is compared with the bounds while it
// agrees with them), and subtrees where the glob's automaton has no state left, or only states that need a byte which
// does not occur below (NodeHeader::classes).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "index/glob.hpp"
#include "index/node.hpp"
#include "memory/part.hpp"

namespace kv {

class Cursor {
 public:
  static constexpr std::size_t kPageEntries = 64;

  // Keys in [start, stop) that match `glob` (null: all), which must outlive the cursor.
  Cursor(std::optional<ByteView> start, std::optional<ByteView> stop, const GlobPattern* glob, bool reverse);

  // Inside a section: the next entries in order, up to `limit`. May be none although more follow: a page looks at a
  // limited number of nodes and entries. Entries are of kind kEntryKind and inside the slice (header and key). With
  // `values`, the first lines of their values are prefetched.
  std::span<const Ref> collect(const Part& part, Ref root, std::size_t limit = kPageEntries,
                               bool values = false) noexcept;

  // After the section: the first `taken` entries of the page were used, the last of them with key `last_key`. False if
  // nothing follows.
  bool advance(std::size_t taken, ByteView last_key);

  // Looked at so far.
  [[nodiscard]] std::uint64_t nodes_visited() const noexcept { return nodes_visited_; }
  [[nodiscard]] std::uint64_t entries_visited() const noexcept { return entries_visited_; }

 private:
  // Flags of an item.
  static constexpr unsigned kReady = 1;  // an entry known to belong to the result
  static constexpr unsigned kPrefetched = 2;
  static constexpr unsigned kLowerTight = 4;  // the path to here is a prefix of the lower bound: its next byte counts
  static constexpr unsigned kUpperTight = 8;  // the same for the upper bound
  static constexpr unsigned kTight = kLowerTight | kUpperTight;
  static constexpr unsigned kAcceptAll = 16;  // whatever follows matches the glob
  static constexpr unsigned kNonAscii = 32;   // the path has bytes from 0x80 after the glob's literal prefix
  static constexpr unsigned kUnknown = 64;    // the classes below are not maintained
  static constexpr unsigned kExpires = 128;   // a ready entry that may have expired since it was looked at

  struct Item {
    GlobPattern::States states;  // of the glob, after the path to here
    Ref ref;
    std::uint32_t depth_and_flags;

    Item() = default;
    Item(Ref to, std::size_t depth, unsigned flags, GlobPattern::States glob_states) noexcept
        : states(glob_states), ref(to), depth_and_flags(static_cast<std::uint32_t>(depth) << 8 | flags) {}
    [[nodiscard]] std::size_t depth() const noexcept { return depth_and_flags >> 8; }
    [[nodiscard]] bool has(unsigned flags) const noexcept { return (depth_and_flags & flags) != 0; }
    [[nodiscard]] unsigned inherited() const noexcept {
      return depth_and_flags & (kTight | kAcceptAll | kNonAscii | kUnknown);
    }
    void set(unsigned flags) noexcept { depth_and_flags |= flags; }
  };
  struct Bound {
    std::string key;
    bool inclusive = false;
  };
  // Where a path stands against a bound: beside it, on the right or the wrong side, or a prefix of it, or all of it.
  enum class Side : std::uint8_t { kInside, kOutside, kPrefix, kEqual };

  void restart(Ref root) noexcept;
  bool step(const Part& part) noexcept;
  void visit(const Part& part, Item item) noexcept;
  void visit_entry(const Part& part, Item item, std::uint64_t header) noexcept;
  void visit_node(const Part& part, Item item, std::uint64_t header) noexcept;
  [[nodiscard]] Side side_of(const std::byte* bytes, std::size_t count, std::size_t depth, const Bound& bound,
                             bool upper) const noexcept;
  [[nodiscard]] bool follow_glob(Item& item, const std::byte* bytes, std::size_t count) const noexcept;
  void add_children(const NodeView& node, Item path, unsigned tight_for_terminal) noexcept;
  void emit(const Part& part) noexcept;
  void take(const Part& part, Item ready) noexcept;
  void pass_on(const Part& part, Item ready) noexcept;
  void prefetch_ahead(const Part& part) noexcept;
  void capture_position(const Part& part) noexcept;

  const GlobPattern* glob_;
  std::size_t glob_from_ = 0;  // length of the glob's literal prefix
  bool reverse_;
  std::optional<Bound> lower_;  // one of them moves to the position as the walk goes on
  std::optional<Bound> upper_;

  std::vector<Item> stack_;  // never grows inside a section
  std::vector<Item> next_;   // what the window of a step becomes, in order
  std::array<Ref, kPageEntries> page_{};
  std::size_t found_ = 0;
  std::size_t limit_ = 0;
  std::size_t budget_ = 0;
  bool prefetch_values_ = false;
  CallTime time_;  // of the page

  // Set by `collect`, for `advance`.
  bool exhausted_ = false;
  bool wants_room_ = false;
  bool wants_capture_ = false;
  bool captured_ = false;
  std::string capture_;  // room for a key: where to go on if the page ended between two matches
  std::size_t capture_bytes_ = 0;

  bool continues_ = false;  // the stack is right as long as the part's sequence number is:
  std::uint64_t sequence_ = 0;

  std::uint64_t nodes_visited_ = 0;
  std::uint64_t entries_visited_ = 0;
};

}  // namespace kv
