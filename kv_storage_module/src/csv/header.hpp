// The first steps with a file: how its text is separated, what its columns are called, where its rows begin.
#pragma once

#include <string>
#include <vector>

#include "csv/row_reader.hpp"
#include "csv/source.hpp"
#include "kv_storage/csv.hpp"

namespace kv::csv {

// `text` as the options and the text itself say it is to be read. Throws Error{kInvalidArgument} for impossible
// separators, Error{kParse} for UTF-16.
[[nodiscard]] Source make_source(const CsvOptions& options, ByteView text);

struct Header {
  std::vector<std::string> names;  // unique, none is empty
  RowRange rows;
};

// Throws Error{kParse}: nothing in the file, two columns of one name, more or fewer names than columns.
[[nodiscard]] Header read_header(const Source& source, const CsvOptions& options);

}  // namespace kv::csv
