#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "csv/scan.hpp"

using kv::csv::Piece;
using kv::csv::ScanKernels;
using kv::csv::ScanState;

namespace {

struct Scanned {
  std::vector<std::uint32_t> ends;
  std::ptrdiff_t at = 0;
  std::ptrdiff_t fault = -1;
  ScanState state;
};

Scanned scan(const ScanKernels& kernels, const std::string& text, std::size_t size, kv::csv::Dialect dialect) {
  Scanned scanned;
  std::vector<std::uint32_t> positions(size + ScanKernels::kSpare);
  const char* const end = text.data() + size;
  const auto result = kernels.find_field_ends({.begin = text.data(), .end = end, .text_end = end}, dialect,
                                              scanned.state, positions.data());
  positions.resize(result.ends);
  scanned.ends = positions;
  scanned.at = result.at - text.data();
  if (result.fault != nullptr) scanned.fault = result.fault - text.data();
  return scanned;
}

}  // namespace

// The parser runs the fastest; its tests against an oracle are tests of that one.
TEST_CASE("csv scan: all kernels that this processor runs find the same") {
  const auto all = kv::csv::scan_kernels();
  REQUIRE_FALSE(all.empty());
  MESSAGE(all.size() << " kernels");
  std::mt19937 random(6);
  const std::string bytes = "aaaaaaaaaabc,,,\n\r\"\"\"\"\"\"\"\"1";
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    const std::size_t size = random() % 400;
    const bool damaged = random() % 3 == 0;
    while (text.size() < size) {
      if (random() % 4 == 0) {
        text += ",\"quoted \"\" text\r\n, to its end\"\n";
      } else if (damaged && random() % 40 == 0) {
        text += '\0';
      } else {
        text += damaged ? bytes[random() % bytes.size()] : bytes[random() % 17];
      }
    }
    const std::size_t whole = text.size();
    text += std::string(64, round % 2 == 0 ? ',' : '\0');
    const kv::csv::Dialect dialect{.delimiter = ',', .quote = round % 5 == 0 ? '\0' : '"'};
    const Scanned expected = scan(all.front(), text, whole, dialect);
    Piece piece{.begin = text.data(), .end = text.data() + whole};
    all.front().summarise(piece, dialect);
    for (const ScanKernels& kernels : all.subspan(1)) {
      const Scanned found = scan(kernels, text, whole, dialect);
      CHECK(found.ends == expected.ends);
      CHECK(found.at == expected.at);
      CHECK(found.fault == expected.fault);
      CHECK(found.state.in_quotes == expected.state.in_quotes);
      CHECK(found.state.after_end == expected.state.after_end);
      CHECK(found.state.after_closing == expected.state.after_closing);
      Piece other{.begin = text.data(), .end = text.data() + whole};
      kernels.summarise(other, dialect);
      CHECK(other.lines == piece.lines);
      CHECK(other.lines_outside == piece.lines_outside);
      CHECK(other.odd_quotes == piece.odd_quotes);
      CHECK(other.first_row == piece.first_row);
      CHECK(other.lines_before == piece.lines_before);
    }
  }
}
