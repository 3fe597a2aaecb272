// Cutting a text into row-aligned ranges that can be parsed independently, in parallel and in linear time.
//
// Whether a line end separates rows depends on the number of quotes before it. So the text is cut into pieces of equal
// size, and each piece is summarised for both cases: it begins outside quotes, or inside. The parity of the quotes
// before a piece, known once all are summarised, says which case holds. A range goes from the first row that begins
// after a line end in its piece to where the range of the next piece with such a row begins.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "csv/row_reader.hpp"
#include "csv/source.hpp"
#include "csv/workers.hpp"

namespace kv::csv {

inline constexpr std::size_t kRangeBytes = 1U << 20U;

struct SplitRows {
  std::vector<RowRange> ranges;
  std::uint64_t rows_at_most = 0;  // lines that end outside quotes: more than rows only by blank ones
};

// The ranges of `rows` in file order; none is empty. They are right up to the first fault in the quoting, which the
// reader of the range that holds it reports.
[[nodiscard]] SplitRows split_rows(const Source& source, const RowRange& rows, std::size_t range_bytes,
                                   const Workers& workers, const Tick& tick = {});

}  // namespace kv::csv
