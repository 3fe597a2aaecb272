#include "store/row_lines.hpp"

#include <algorithm>

namespace kv {

void RowLines::add(unsigned thread, std::uint32_t first_row, std::span<const std::uint64_t> lines) {
  std::vector<Run>& runs = by_thread_[thread];
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i != 0 && lines[i] == lines[i - 1] + 1) continue;
    runs.push_back({.line = lines[i], .row = first_row + static_cast<std::uint32_t>(i)});
  }
}

void RowLines::settle() {
  for (std::vector<Run>& runs : by_thread_) {
    runs_.insert(runs_.end(), runs.begin(), runs.end());
    runs = {};
  }
  std::sort(runs_.begin(), runs_.end(), [](const Run& a, const Run& b) { return a.row < b.row; });
}

std::uint64_t RowLines::line(std::uint32_t row) const noexcept {
  const auto behind =
      std::upper_bound(runs_.begin(), runs_.end(), row, [](std::uint32_t at, const Run& run) { return at < run.row; });
  const Run& run = behind[-1];
  return run.line + (row - run.row);
}

}  // namespace kv
