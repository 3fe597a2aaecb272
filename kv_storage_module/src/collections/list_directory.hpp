// The chunks of a List in order, in a B+-tree whose nodes count the positions below them (D. Comer, "The Ubiquitous
// B-Tree", ACM Computing Surveys 1979; counts as in order-statistic trees). Nodes are changed where they are, through
// the journal; only one that is split needs memory.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "collections/list_state.hpp"

namespace kv {

class ListDirectory {
 public:
  struct Child {
    Ref ref;
    std::uint64_t count;
  };
  // The way from the root to a chunk.
  struct Path {
    struct Level {
      Ref node;
      std::uint32_t index;
    };
    std::array<Level, kMaxDirectoryHeight> levels{};
    std::uint32_t height = 0;
    std::uint32_t offset = 0;  // of the position in its chunk
  };

  ListDirectory(Transaction& txn, ListState& state) noexcept : txn_(txn), state_(state) {}

  // `position` lies in the directory.
  [[nodiscard]] Path find(std::uint64_t position) const noexcept;
  [[nodiscard]] Child chunk(const Path& path) const noexcept { return child(path, 0); }
  // The chunk behind or before that of the path, under the same node; a null one if there is none.
  [[nodiscard]] Child next_chunk(const Path& path) const noexcept { return child(path, 1); }
  [[nodiscard]] Child previous_chunk(const Path& path) const noexcept { return child(path, -1); }

  // Puts `chunks` (at most 4) in place of `count` chunks, of which the first is `skip` behind that of the path (or
  // before it). Throws Error{kOverCapacity} only if they are more. The old chunks are the caller's.
  void replace(const Path& path, int skip, std::uint32_t count, const std::vector<Child>& chunks);
  void push_back(Child chunk);
  // The last chunk, taken out. The directory is not empty.
  [[nodiscard]] Child pop_back();

 private:
  [[nodiscard]] DirectoryNode& node(Ref ref) const noexcept {
    return *reinterpret_cast<DirectoryNode*>(txn_.fresh(ref));
  }
  [[nodiscard]] Child child(const Path& path, int distance) const noexcept;
  [[nodiscard]] Path last() const noexcept;
  void replace_children(Path& path, std::uint32_t level, std::uint32_t first, std::uint32_t count,
                        const std::vector<Child>& children);
  void replace_root(const std::vector<Child>& nodes);
  void store_children(Ref ref, const Child* children, std::size_t count);
  [[nodiscard]] static std::uint64_t sum_of(const Child* children, std::size_t count) noexcept;
  [[nodiscard]] Child make_node(const Child* children, std::size_t count);

  Transaction& txn_;
  ListState& state_;
};

}  // namespace kv
