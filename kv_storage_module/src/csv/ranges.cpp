#include "csv/ranges.hpp"

#include <algorithm>
#include <array>
#include <bit>

#include "csv/block.hpp"
#include "csv/mapped_file.hpp"

namespace kv::csv {
namespace {

struct Piece {
  const char* begin = nullptr;
  const char* end = nullptr;
  std::uint64_t lines = 0;          // line ends
  std::uint64_t lines_outside = 0;  // those outside quotes if the piece begins outside; the others, if inside
  bool odd_quotes = false;
  // Where the first row begins after a line end in this piece, and how many line ends there are before it: [0] if the
  // piece begins outside quotes, [1] inside. nullptr = no row does.
  std::array<const char*, 2> first_row{};
  std::array<std::uint64_t, 2> lines_before{};
};

// A CRLF is never cut in two: it is one line end.
std::vector<Piece> cut(const RowRange& rows, std::size_t range_bytes) {
  std::vector<Piece> pieces;
  for (const char* at = rows.begin; at != rows.end;) {
    const char* end = at + std::min(range_bytes, static_cast<std::size_t>(rows.end - at));
    if (end != rows.end && end[-1] == '\r' && *end == '\n') ++end;
    pieces.push_back({.begin = at, .end = end});
    at = end;
  }
  return pieces;
}

class Summary {
 public:
  Summary(Piece& piece, Dialect dialect) noexcept : piece_(piece), dialect_(dialect) {}

  void run() noexcept {
    for (const char* at = piece_.begin; at < piece_.end; at += kBlockBytes) {
      add(Block(at), low_bits(static_cast<std::size_t>(piece_.end - at)), at);
    }
    piece_.odd_quotes = inside_ != 0;
  }

 private:
  void add(const Block& block, std::uint64_t valid, const char* at) noexcept {
    const std::uint64_t feeds = block.equal('\n') & valid;
    const std::uint64_t returns = block.equal('\r') & valid;
    const std::uint64_t quotes = dialect_.quote == 0 ? 0 : block.equal(dialect_.quote) & valid;
    // A line ends at LF and at a CR, at a CRLF once.
    const std::uint64_t ends = (feeds | returns) & ~(feeds & (returns << 1U | after_return_));
    const std::uint64_t inside = quotes == 0 ? inside_ : prefix_xor(quotes) ^ inside_;
    find_row(feeds | returns, ~inside, 0, at);
    find_row(feeds | returns, inside, 1, at);
    piece_.lines += count_bits(ends);
    piece_.lines_outside += count_bits(ends & ~inside);
    inside_ = static_cast<std::uint64_t>(static_cast<std::int64_t>(inside) >> 63U);
    after_return_ = returns >> 63U;
  }

  void find_row(std::uint64_t line_ends, std::uint64_t outside, std::size_t begins_inside, const char* at) noexcept {
    if ((line_ends & outside) == 0 || piece_.first_row[begins_inside] != nullptr) return;
    const char* row = at + std::countr_zero(line_ends & outside);
    row += *row == '\r' && row + 1 != piece_.end && row[1] == '\n' ? 2 : 1;
    piece_.first_row[begins_inside] = row;
    piece_.lines_before[begins_inside] = count_lines({piece_.begin, static_cast<std::size_t>(row - piece_.begin)});
  }

  Piece& piece_;
  Dialect dialect_;
  std::uint64_t inside_ = 0;  // all ones: inside quotes if the piece begins outside
  std::uint64_t after_return_ = 0;
};

SplitRows join(const RowRange& rows, const std::vector<Piece>& pieces) {
  SplitRows split{.ranges = {{.begin = rows.begin, .end = rows.end, .line = rows.line}}, .rows_at_most = 1};
  std::vector<RowRange>& ranges = split.ranges;
  std::uint64_t line = rows.line;
  std::size_t inside = 0;
  for (const Piece& piece : pieces) {
    const char* row = piece.first_row[inside];
    // The first range begins where the rows begin, not after a line end.
    if (row != nullptr && piece.begin != rows.begin && row != rows.end) {
      ranges.back().end = row;
      ranges.push_back({.begin = row, .end = rows.end, .line = line + piece.lines_before[inside]});
    }
    line += piece.lines;
    split.rows_at_most += inside == 0 ? piece.lines_outside : piece.lines - piece.lines_outside;
    inside ^= piece.odd_quotes ? 1U : 0U;
  }
  return split;
}

}  // namespace

SplitRows split_rows(const Source& source, const RowRange& rows, std::size_t range_bytes, const Workers& workers,
                     const Tick& tick) {
  if (rows.bytes() == 0) return {};
  std::vector<Piece> pieces = cut(rows, range_bytes);
  workers.run(pieces.size(), tick, [&](unsigned, std::size_t index, const Stop&) {
    MappedFile::prefetch(pieces[index].begin, pieces[index].end);
    Summary(pieces[index], source.dialect).run();
  });
  return join(rows, pieces);
}

}  // namespace kv::csv
