// First pass: finds the type of every column by looking at the whole file, and the dictionaries of the categories.
//
//   all values are                     type         with missing values
//   integers within int64              int64        float64, or text if a float64 would lose digits
//   integers, some outside int64       text         text (nothing is rounded unasked)
//   numbers                            float64      float64, missing = NaN
//   true / false                       bool         category
//   dates; dates or datetimes          date, datetime
//   anything else                      text
//   (there are none)                                float64
//
// Text is a category if there are at most 65,536 different ones, or at most half as many as rows and they fit 4 MiB;
// else bytes as wide as the longest. Dictionaries are sorted by byte. So the result depends on the file alone, not on
// the number of threads or ranges.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "csv/column.hpp"
#include "csv/dictionary.hpp"
#include "csv/row_reader.hpp"
#include "csv/values.hpp"
#include "csv/workers.hpp"

namespace kv::csv {

struct Inferred {
  std::uint64_t rows = 0;
  std::vector<Dictionary> dictionaries;  // of each column; empty where it is no category
};

struct InferenceInput {
  const Source& source;
  std::span<const RowRange> ranges;
  const MissingTokens& missing;
};

// Called by the threads after each range.
using RangeDone = std::function<void(const RowRange&)>;

// Sets type and size of every column that was not requested with a fixed one. Throws the first error in file order.
[[nodiscard]] Inferred infer_columns(const InferenceInput& input, std::vector<FileColumn>& columns,
                                     const Workers& workers, const Tick& tick, const RangeDone& done);

}  // namespace kv::csv
