// Where in the file the rows of a load come from, for messages and for the order of duplicates: by runs of rows that
// follow one another line by line, of which most files have few.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kv {

class RowLines {
 public:
  explicit RowLines(unsigned threads) : by_thread_(threads) {}

  // The lines of the rows from `first_row` on. Not by two threads with the same number at a time; not after settle().
  void add(unsigned thread, std::uint32_t first_row, std::span<const std::uint64_t> lines);
  // When all have been added.
  void settle();
  // After settle(), of a row that was added. O(log runs).
  [[nodiscard]] std::uint64_t line(std::uint32_t row) const noexcept;

 private:
  struct Run {
    std::uint64_t line;
    std::uint32_t row;
  };

  std::vector<std::vector<Run>> by_thread_;
  std::vector<Run> runs_;
};

}  // namespace kv
