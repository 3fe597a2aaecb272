#include "csv/ranges.hpp"

#include <algorithm>

#include "csv/mapped_file.hpp"
#include "csv/scan.hpp"

namespace kv::csv {
namespace {

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

SplitRows join(const RowRange& rows, const std::vector<Piece>& pieces) {
  SplitRows split{.ranges = {{.begin = rows.begin, .end = rows.end, .line = rows.line}}, .rows_at_most = 0};
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
  if (rows.end[-1] != '\n' && rows.end[-1] != '\r') ++split.rows_at_most;
  return split;
}

}  // namespace

SplitRows split_rows(const Source& source, const RowRange& rows, std::size_t range_bytes, const Workers& workers,
                     const Tick& tick) {
  if (rows.bytes() == 0) return {};
  std::vector<Piece> pieces = cut(rows, range_bytes);
  const auto summarise = fastest_scan().summarise;
  workers.run(pieces.size(), tick, [&](unsigned, std::size_t index, const Stop&) {
    MappedFile::prefetch(pieces[index].begin, pieces[index].end);
    summarise(pieces[index], source.dialect);
    MappedFile::release(pieces[index].begin, pieces[index].end);  // not to be counted beside what comes of it
  });
  return join(rows, pieces);
}

}  // namespace kv::csv
