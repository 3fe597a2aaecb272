#include "store/row_lines.hpp"

#include <doctest/doctest.h>

#include <random>
#include <vector>

TEST_CASE("row lines: every row's line, whatever the runs and the threads") {
  std::mt19937 random(4);
  kv::RowLines lines(3);
  std::vector<std::uint64_t> expected;
  for (int batch = 0; batch < 200; ++batch) {
    std::vector<std::uint64_t> rows;
    std::uint64_t line = random();
    for (std::size_t i = random() % 50; i > 0; --i) rows.push_back(line += random() % 8 == 0 ? 3 : 1);
    lines.add(random() % 3, static_cast<std::uint32_t>(expected.size()), rows);
    expected.insert(expected.end(), rows.begin(), rows.end());
  }
  lines.settle();
  for (std::uint32_t row = 0; row < expected.size(); ++row) CHECK(lines.line(row) == expected[row]);
}
