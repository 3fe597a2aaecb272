// The rows of a row-aligned part of a CSV text, one at a time, with their line numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "csv/source.hpp"
#include "csv/tokenizer.hpp"

namespace kv::csv {

// No text of a row may be longer, as no key may: limits what a damaged file can make us hold.
inline constexpr std::size_t kMaxTextBytes = 65'535;

struct Field {
  const char* begin = nullptr;  // where it begins in the file, with its quote
  const char* data = nullptr;   // its content: without the enclosing quotes, but with doubled quotes as they are
  std::size_t size = 0;
  char escaped = 0;  // the quote character, if the content has doubled quotes to be halved

  // The text as meant. `scratch` holds it if quotes had to be halved. 8 bytes past the end of the result are readable.
  [[nodiscard]] ByteView text(std::string& scratch) const {
    return escaped == 0 ? ByteView(data, size) : unescape(scratch);
  }

 private:
  [[nodiscard]] ByteView unescape(std::string& scratch) const;
};

// Whole rows: begins at the beginning of a line outside quotes, ends after a line end or at the end of the text.
struct RowRange {
  const char* begin = nullptr;
  const char* end = nullptr;
  std::uint64_t line = 1;  // of `begin`

  [[nodiscard]] std::size_t bytes() const noexcept { return static_cast<std::size_t>(end - begin); }
};

class RowReader {
 public:
  // Every row must have `columns` fields.
  RowReader(const Source& source, const RowRange& range, std::size_t columns);

  // False = no more rows. Blank lines are skipped. Throws Error{kParse} with the location.
  [[nodiscard]] bool next() { return read(fields_); }
  // The same, the fields of the row into `fields`, one for each column.
  [[nodiscard]] bool read(std::span<Field> fields);

  [[nodiscard]] std::span<const Field> fields() const noexcept { return fields_; }
  [[nodiscard]] std::uint64_t line() const noexcept { return row_line_; }   // where the row begins
  [[nodiscard]] const char* position() const noexcept { return cursor_; }   // behind the row
  [[nodiscard]] std::uint64_t next_line() const noexcept { return line_; }  // of position()

  // An error of kind kParse located at `at` (of the row that was read last).
  [[nodiscard]] Error error_at(const char* at, std::string_view what) const {
    return error_in(row_begin_, row_line_, at, what);
  }
  // The same in the row that begins at `row`, in line `line`.
  [[nodiscard]] Error error_in(const char* row, std::uint64_t line, const char* at, std::string_view what) const;

 private:
  [[nodiscard]] const char* skip_blank_lines();
  [[nodiscard]] const char* add_field(Field& field, const char* begin, const char* end);
  [[nodiscard]] bool is_row_end(const char* at) const noexcept { return *at != dialect_.delimiter || at == range_end_; }
  void end_line(const char* line_end);
  [[noreturn]] void fail_without_end(const char* field) const;
  [[noreturn]] void fail_too_few(std::size_t found, const char* at) const;
  [[noreturn]] void fail_too_many(const char* at) const;

  const Source& source_;
  Dialect dialect_;
  Tokenizer tokenizer_;
  const char* cursor_;
  const char* range_end_;
  const char* row_begin_;
  std::uint64_t line_;  // of cursor_
  std::uint64_t row_line_ = 0;
  std::vector<Field> fields_;
};

// The first row of `text` (the header, or what tells the number of columns), whatever its number of fields.
struct FirstRow {
  std::vector<std::string> texts;
  std::vector<Location> locations;  // of each field
  RowRange rest;                    // what follows it
  bool found = false;               // false = nothing but blank lines
};
[[nodiscard]] FirstRow read_first_row(const Source& source, std::size_t max_columns);

}  // namespace kv::csv
