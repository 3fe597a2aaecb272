// Finds the type of every column by looking at the whole file, and the dictionaries of the categories.
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
#include <optional>
#include <span>
#include <vector>

#include "csv/column.hpp"
#include "csv/column_profile.hpp"
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
  std::uint64_t rows_at_most;
};

using Profiles = std::vector<ColumnProfile>;  // of each column

// Called by the threads after each range.
using RangeDone = std::function<void(const RowRange&)>;

// Sets type and size of every column that was not requested with a fixed one. Throws the first error in file order.
[[nodiscard]] Inferred infer_columns(const InferenceInput& input, std::vector<FileColumn>& columns,
                                     const Workers& workers, const Tick& tick, const RangeDone& done);

// Its parts, for a pass over the file that does more than look at it.

// Learns from all values of a row. Throws Error{kParse} located by `reader`, which has read it.
void learn_row(std::span<const Field> fields, const InferenceInput& input, const std::vector<FileColumn>& columns,
               const RowReader& reader, Profiles& profiles);
// What is to be decided when `profiles` know all `rows`; reads columns again whose texts they lack.
[[nodiscard]] Inferred conclude(const InferenceInput& input, std::vector<FileColumn>& columns, Profiles& profiles,
                                std::uint64_t rows, const Workers& workers, const Tick& tick);

// What the columns probably are, by a sample of rows from all over the file.
struct Guess {
  Profiles profiles;                     // of the sample
  std::vector<Dictionary> dictionaries;  // of each column: its texts there, sorted; empty where it is no category
};
// Sets type and size of every column that was not requested with a fixed one. Nothing if looking at a sample does not
// pay. Errors in the file end what is looked at around them.
[[nodiscard]] std::optional<Guess> guess_columns(const InferenceInput& input, std::vector<FileColumn>& columns);

}  // namespace kv::csv
